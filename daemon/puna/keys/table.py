"""Keys and organisations in the database. Every function runs inside a transaction of `puna.store`."""

import secrets
import sqlite3
from collections.abc import Iterable, Mapping

from puna.errors import InvalidRequestError, NotFoundError
from puna.keys.identity import Scope
from puna.keys.records import Key, KeyWish, NewKey, Organisation
from puna.keys.secret import hash_secret, hint_of, make_secret

FIRST_KEY = KeyWish(name="first")
"""What the first start makes."""

_NAME_LIMIT = 100
_KEYS_THAT_HOLD = (
    "SELECT hash, id, name, organisation_id, scopes, hint, created_at, last_used_at"
    " FROM keys WHERE revoked_at IS NULL"
)


def read_organisations(connection: sqlite3.Connection) -> list[Organisation]:
    """Return all, the default one first."""
    rows = connection.execute(
        "SELECT id, name, is_default, created_at FROM organisations ORDER BY is_default DESC, created_at, id"
    )
    return [
        Organisation(id=id_, name=name, is_default=bool(is_default), created_at=created_at)
        for id_, name, is_default, created_at in rows
    ]


def insert_organisation(connection: sqlite3.Connection, name: str, now: int) -> Organisation:
    """Make an organisation. Raises `InvalidRequestError` when the name is taken or unfit."""
    made = Organisation(
        id=f"org_{secrets.token_hex(8)}", name=_fit_name(name), is_default=False, created_at=now
    )
    if _names_organisation(made.name, read_organisations(connection)):
        raise InvalidRequestError(f"There is an organisation {made.name} already.", field="name")
    connection.execute(
        "INSERT INTO organisations (id, name, is_default, created_at) VALUES (?, ?, 0, ?)",
        (made.id, made.name, made.created_at),
    )
    return made


def read_keys(connection: sqlite3.Connection) -> dict[bytes, Key]:
    """Return the keys that hold, by the hash of their secret, the oldest first."""
    rows = connection.execute(_KEYS_THAT_HOLD + " ORDER BY created_at, rowid")
    return {hash_: _to_key(*columns) for hash_, *columns in rows}


def insert_key(connection: sqlite3.Connection, wish: KeyWish, now: int) -> NewKey:
    """Make a key. Raises `InvalidRequestError` for an unfit name or an unknown organisation."""
    secret = make_secret()
    key = Key(
        id=f"key_{secrets.token_hex(6)}",
        name=_fit_name(wish.name),
        organisation_id=_find_organisation(connection, wish.organisation).id,
        scopes=tuple(scope for scope in Scope if scope in wish.scopes),
        hint=hint_of(secret),
        created_at=now,
    )
    connection.execute(
        "INSERT INTO keys (id, hash, hint, name, organisation_id, scopes, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.id, hash_secret(secret), key.hint, key.name, key.organisation_id, ",".join(key.scopes), now),
    )
    return NewKey(key=key, secret=secret)


def insert_first_key(connection: sqlite3.Connection, now: int) -> NewKey | None:
    """Make the first key; None when there has been one, revoked or not."""
    [has_had_keys] = connection.execute("SELECT EXISTS (SELECT 1 FROM keys)").fetchone()
    return None if has_had_keys else insert_key(connection, FIRST_KEY, now)


def revoke_key(connection: sqlite3.Connection, key_id: str, now: int) -> Key:
    """End a key and return it. Raises `NotFoundError` when none that holds has this id."""
    row = connection.execute(_KEYS_THAT_HOLD + " AND id = ?", (key_id,)).fetchone()
    if row is None:
        raise unknown_key(key_id)
    connection.execute("UPDATE keys SET revoked_at = ? WHERE id = ?", (now, key_id))
    return _to_key(*row[1:])


def write_uses(connection: sqlite3.Connection, uses: Mapping[str, int]) -> None:
    """Note when keys were last used, by their id."""
    connection.executemany(
        "UPDATE keys SET last_used_at = ? WHERE id = ?",
        [(used_at, key_id) for key_id, used_at in uses.items()],
    )


def unknown_key(key_id: str) -> NotFoundError:
    """Return the error for an id that no key has."""
    return NotFoundError(f"There is no key {key_id[:100]}; `puna keys list` shows those that hold.")


def _to_key(*columns: object) -> Key:
    id_, name, organisation_id, scopes, hint, created_at, last_used_at = columns
    return Key(
        id=str(id_),
        name=str(name),
        organisation_id=str(organisation_id),
        scopes=tuple(Scope(scope) for scope in str(scopes).split(",") if scope),
        hint=str(hint),
        created_at=int(str(created_at)),
        last_used_at=None if last_used_at is None else int(str(last_used_at)),
    )


def _find_organisation(connection: sqlite3.Connection, wanted: str | None) -> Organisation:
    known = read_organisations(connection)
    if wanted is None:
        return known[0]
    found = _names_organisation(wanted, known)
    if found is None:
        names = ", ".join(f"{one.name} ({one.id})" for one in known[:20])
        raise InvalidRequestError(
            f"There is no organisation {wanted[:100]}; known are {names}.", field="organisation"
        )
    return found


def _names_organisation(wanted: str, known: Iterable[Organisation]) -> Organisation | None:
    return next((one for one in known if wanted in (one.id, one.name)), None)


def _fit_name(name: str) -> str:
    """Return a name for lists and logs. Raises `InvalidRequestError`."""
    name = name.strip()
    if not name or len(name) > _NAME_LIMIT or not name.isprintable():
        raise InvalidRequestError(f"A name has 1 to {_NAME_LIMIT} printable characters.", field="name")
    return name
