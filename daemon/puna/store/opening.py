"""From a path to a connection whose tables are those that this version knows. Blocks; for one thread."""

import logging
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from puna.errors import DaemonError
from puna.files import make_private_folder
from puna.store.failures import DAMAGE, primary_code, reason_of

_log = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 5.0
_COMPANIONS = ("-wal", "-shm", "-journal")


def connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Return a connection to a sound database with all migrations; the file has mode 0600.

    A damaged file is put aside under another name, with a line in the log, and a new one begun. Raises
    `DaemonError` when the file cannot be used, or was written by a newer version.
    """
    make_private_folder(path.parent)
    try:
        return _open(path, migrations)
    except sqlite3.Error as error:
        if primary_code(error) not in DAMAGE:
            raise DaemonError(f"{path} cannot be used: {reason_of(error)}.") from error
        _put_aside(path, error)
    try:
        return _open(path, migrations)
    except sqlite3.Error as error:
        raise DaemonError(f"{path} cannot be made: {reason_of(error)}.") from error


def _open(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    _make_private_file(path)
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        _check(connection)
        _configure(connection)
        _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private_file(path: Path) -> None:
    """SQLite gives its other files the mode of this one."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise DaemonError(f"{path} cannot be used ({error.strerror}): make it yours.") from error


def _check(connection: sqlite3.Connection) -> None:
    [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        damage = sqlite3.DatabaseError(verdict)
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage


def _configure(connection: sqlite3.Connection) -> None:
    # FULL: what was told to a client survives a power cut, not only a crash of Puna.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    [seen] = connection.execute("PRAGMA user_version").fetchone()
    if seen > len(migrations):
        raise DaemonError(
            f"{path} was written by a newer Puna (its tables have version {seen}, this Puna knows "
            f"{len(migrations)}): install that one again, or set PUNA_HOME to another folder."
        )
    for number, script in enumerate(migrations[seen:], start=seen + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version = {number};\nCOMMIT;")


def _put_aside(path: Path, error: sqlite3.Error) -> None:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}.damaged-{now}")
    try:
        path.replace(aside)
        for ending in _COMPANIONS:
            companion = path.with_name(path.name + ending)
            if companion.exists():
                companion.replace(aside.with_name(aside.name + ending))
    except OSError as failure:
        raise DaemonError(
            f"{path} is damaged and cannot be put aside ({failure.strerror}); move it yourself."
        ) from failure
    _log.warning("%s is damaged (%s): put aside as %s, started anew", path, error, aside.name)
