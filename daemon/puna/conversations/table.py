"""Stored answers in the database. The public functions are one transaction each; times are seconds since 1970."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence

from puna.conversations.records import StoredItem, StoredResponse

_READABLE = "(:owner IS NULL OR owner = :owner) AND created_at >= :oldest_s"


def add(
    connection: sqlite3.Connection, *, response: StoredResponse, now_s: float, oldest_s: float, limit: int
) -> None:
    """Write an answer and the items that are new; remove those that are old, and of its owner the surplus."""
    connection.execute(
        "INSERT INTO responses (id, owner, created_at, body) VALUES (?, ?, ?, ?)",
        (response.id, response.owner, int(now_s), response.body.decode()),
    )
    numbered = [(item, 0) for item in response.inputs] + [(item, 1) for item in response.outputs]
    connection.executemany(
        "INSERT INTO response_items (response_id, position, item, is_output) VALUES (?, ?, ?, ?)",
        [
            (response.id, position, _keep_item(connection, item, response.owner), is_output)
            for position, (item, is_output) in enumerate(numbered)
        ],
    )
    remove_older(connection, oldest_s=oldest_s)
    surplus = connection.execute(
        "SELECT id FROM responses WHERE owner = ? ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?",
        (response.owner, limit),
    )
    _delete(connection, [response_id for (response_id,) in surplus])


def select_body(
    connection: sqlite3.Connection, *, response_id: str, owner: str | None, oldest_s: float
) -> bytes | None:
    """Read an answer."""
    row = _find(connection, response_id, owner, oldest_s)
    return None if row is None else row.encode()


def select_items(
    connection: sqlite3.Connection,
    *,
    response_id: str,
    owner: str | None,
    oldest_s: float,
    has_outputs: bool,
) -> list[StoredItem] | None:
    """Read the items of an answer, in their order."""
    if _find(connection, response_id, owner, oldest_s) is None:
        return None
    rows = connection.execute(
        "SELECT id, body, number FROM response_items JOIN conversation_items ON number = item"
        " WHERE response_id = ? AND is_output <= ? ORDER BY position",
        (response_id, has_outputs),
    )
    return _to_items(rows)


def select_by_ids(
    connection: sqlite3.Connection, *, ids: Collection[str], owner: str | None, oldest_s: float
) -> dict[str, StoredItem]:
    """Read items by their ids, the newest of each, of answers that can still be read."""
    statement = (
        "SELECT i.id, i.body, i.number FROM conversation_items i WHERE i.id = :id"
        " AND (:owner IS NULL OR i.owner = :owner) AND EXISTS (SELECT 1 FROM response_items l"
        " JOIN responses r ON r.id = l.response_id WHERE l.item = i.number AND r.created_at >= :oldest_s)"
        " ORDER BY i.number DESC LIMIT 1"
    )
    wanted = [{"id": each, "owner": owner, "oldest_s": oldest_s} for each in ids]
    found = [item for each in wanted for item in _to_items(connection.execute(statement, each))]
    return {item.id: item for item in found}


def remove(connection: sqlite3.Connection, *, response_id: str, owner: str | None, oldest_s: float) -> bool:
    """Delete one answer; returns whether it was there."""
    if _find(connection, response_id, owner, oldest_s) is None:
        return False
    _delete(connection, [response_id])
    return True


def remove_older(connection: sqlite3.Connection, *, oldest_s: float) -> None:
    """Delete the answers that were written before."""
    old = connection.execute("SELECT id FROM responses WHERE created_at < ?", (oldest_s,))
    _delete(connection, [response_id for (response_id,) in old])


def _find(connection: sqlite3.Connection, response_id: str, owner: str | None, oldest_s: float) -> str | None:
    row: tuple[str] | None = connection.execute(
        f"SELECT body FROM responses WHERE id = :id AND {_READABLE}",  # noqa: S608 - a constant
        {"id": response_id, "owner": owner, "oldest_s": oldest_s},
    ).fetchone()
    return row[0] if row else None


def _to_items(rows: Iterable[tuple[str, str, int]]) -> list[StoredItem]:
    return [StoredItem(item_id, body.encode(), number) for item_id, body, number in rows]


def _keep_item(connection: sqlite3.Connection, item: StoredItem, owner: str) -> int:
    """Return where an item lies, written now unless it is there. One may have gone since it was read."""
    if item.number is not None:
        there = connection.execute("SELECT 1 FROM conversation_items WHERE number = ?", (item.number,))
        if there.fetchone():
            return item.number
    written = connection.execute(
        "INSERT INTO conversation_items (id, owner, body) VALUES (?, ?, ?)",
        (item.id, owner, item.body.decode()),
    )
    assert written.lastrowid is not None
    return written.lastrowid


def _delete(connection: sqlite3.Connection, response_ids: Sequence[str]) -> None:
    """Delete answers, and their items that no other answer has."""
    for response_id in response_ids:
        items = connection.execute(
            "SELECT item FROM response_items WHERE response_id = ?", (response_id,)
        ).fetchall()
        connection.execute("DELETE FROM responses WHERE id = ?", (response_id,))
        connection.executemany(
            "DELETE FROM conversation_items WHERE number = :number"
            " AND NOT EXISTS (SELECT 1 FROM response_items WHERE item = :number)",
            [{"number": number} for (number,) in items],
        )
