"""SQLite's errors as ours: those that no line of code is to blame for."""

import sqlite3

from puna.errors import OverloadedError, PunaError, StoreError

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Primary codes of a file that is no sound database."""

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_READONLY: "the file may not be written",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_PERM: "the file may not be used",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no database",
}


def primary_code(error: sqlite3.Error) -> int | None:
    """Return SQLite's own code without its extension; None for a misuse of the module."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def reason_of(error: sqlite3.Error) -> str:
    """Return why the file cannot be used, in words."""
    return _REASONS.get(primary_code(error) or 0, str(error))


def translate_failure(error: sqlite3.Error) -> PunaError | None:
    """Return the error that a caller gets, without a path; None for a mistake of the code that asked."""
    code = primary_code(error)
    if code in _BUSY:
        return OverloadedError(
            "Another program uses Puna's database; try again in a moment.", retry_after_s=1
        )
    if code in _REASONS:
        return StoreError(f"Nothing was stored: Puna's database does not work ({_REASONS[code]}).")
    return None
