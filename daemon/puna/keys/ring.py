"""The keys that hold, in memory: who sent a request is known without asking the disk."""

import asyncio
import hmac
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Self, TypeVar

from msgspec.structs import replace

from puna.keys import table
from puna.keys.records import Key, KeyWish, NewKey, Organisation
from puna.keys.secret import PREFIX, hash_secret
from puna.store.database import Database

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class KeyRing:
    """All keys and organisations. One for the daemon, which alone changes them; used from the event loop."""

    def __init__(
        self,
        database: Database,
        keys: dict[bytes, Key],
        organisations: list[Organisation],
        clock: Callable[[], float],
    ) -> None:
        """Use `read`."""
        self._database = database
        self._hash_of = {key.id: hash_ for hash_, key in keys.items()}
        self._keys = keys
        self._organisations = organisations
        self._clock = clock
        self._used: set[str] = set()

    @classmethod
    def read(cls, database: Database, clock: Callable[[], float]) -> Self:
        """Return what the database holds; `clock` gives seconds since 1970. Blocks. Raises `StoreError`."""
        keys = database.run_blocking(table.read_keys)
        return cls(database, keys, database.run_blocking(table.read_organisations), clock)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Those that hold, the oldest first."""
        return tuple(self._keys.values())

    @property
    def organisations(self) -> tuple[Organisation, ...]:
        """The default one first."""
        return tuple(self._organisations)

    @property
    def default_organisation(self) -> Organisation:
        """The one that exists from the first start."""
        return self._organisations[0]

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret.

        Nobody can choose the hash that is looked up, so how long that takes tells nothing of the others.
        """
        if not secret.startswith(PREFIX):
            return None
        wanted = hash_secret(secret)
        key = self._keys.get(wanted)
        is_right = key is not None and hmac.compare_digest(self._hash_of[key.id], wanted)
        return key if is_right else None

    def note_use(self, key: Key) -> None:
        """Remember that the key was used now; `take_uses` hands it on to the disk, for many at a time."""
        self._keys[self._hash_of[key.id]] = replace(key, last_used_at=self._now())
        self._used.add(key.id)

    def take_uses(self) -> dict[str, int]:
        """Return when keys were last used, of those used since the last call."""
        used, self._used = self._used, set()
        return {
            key.id: key.last_used_at
            for key in self._keys.values()
            if key.id in used and key.last_used_at is not None
        }

    async def create(self, wish: KeyWish) -> NewKey:
        """Make a key. Raises `InvalidRequestError` or `StoreError`."""
        return await self._keep(partial(table.insert_key, wish=wish, now=self._now()), self._add)

    async def create_first(self) -> NewKey | None:
        """Make the first key; None when there has been one. Raises `StoreError`."""
        return await self._keep(partial(table.insert_first_key, now=self._now()), self._add)

    async def revoke(self, key_id: str) -> Key:
        """End a key, for the very next request already. Raises `NotFoundError` or `StoreError`.

        A key that the disk does not end holds again, also when who asked has left.
        """
        hash_ = self._hash_of.pop(key_id, None)
        if hash_ is None:
            raise table.unknown_key(key_id)
        key = self._keys.pop(hash_)

        async def write() -> Key:
            try:
                await self._database.run(partial(table.revoke_key, key_id=key_id, now=self._now()))
            except Exception:
                self._keys[hash_], self._hash_of[key_id] = key, hash_
                _log.warning("the key %s (%s) is not revoked", key.name, key.id)
                raise
            _log.info("the key %s (%s) is revoked", key.name, key.id)
            return key

        return await asyncio.shield(asyncio.create_task(write()))

    async def create_organisation(self, name: str) -> Organisation:
        """Make an organisation. Raises `InvalidRequestError` or `StoreError`."""
        return await self._keep(
            partial(table.insert_organisation, name=name, now=self._now()), self._organisations.append
        )

    async def _keep(self, write: Callable[[sqlite3.Connection], _T], take_in: Callable[[_T], object]) -> _T:
        """Write something new and take it in: it is known here once it is on disk, also when who asked has left."""

        async def keep() -> _T:
            made = await self._database.run(write)
            take_in(made)
            return made

        return await asyncio.shield(asyncio.create_task(keep()))

    def _add(self, made: NewKey | None) -> None:
        if made is None:
            return
        hash_ = hash_secret(made.secret)
        self._keys[hash_] = made.key
        self._hash_of[made.key.id] = hash_
        _log.info("the key %s (%s) is made, for %s", made.key.name, made.key.id, ", ".join(made.key.scopes))

    def _now(self) -> int:
        return int(self._clock())
