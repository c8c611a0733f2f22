"""Where keys are kept: the running daemon is asked, and without one the database itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from puna.client import ControlClient, probe
from puna.errors import NotRunningError
from puna.instance import InstanceLock, Presence
from puna.keys import table
from puna.keys.records import Key, KeyWish, NewKey, Organisation
from puna.paths import Paths
from puna.store.database import Database


class KeyOffice(Protocol):
    """Lists and changes keys; every method blocks, and raises `PunaError`."""

    def keys(self) -> tuple[Key, ...]:
        """Return the keys that hold."""
        ...

    def create_key(self, wish: KeyWish) -> NewKey:
        """Make a key."""
        ...

    def revoke_key(self, key_id: str) -> Key:
        """End a key."""
        ...

    def organisations(self) -> tuple[Organisation, ...]:
        """Return all, the default one first."""
        ...

    def create_organisation(self, name: str) -> Organisation:
        """Make an organisation."""
        ...


@contextmanager
def open_office(paths: Paths) -> Iterator[KeyOffice]:
    """Yield the daemon, or the database with the instance lock held, so that none starts meanwhile.

    Raises `NotRunningError` for a daemon that starts or does not answer, `DaemonError` for a database that
    cannot be used.
    """
    found = probe(paths)
    match found.presence:
        case Presence.RUNNING if found.endpoint is not None:
            yield ControlClient(found.endpoint)
        case Presence.STARTING:
            raise NotRunningError("Puna is starting or does not answer; try again in a moment.")
        case _:
            with InstanceLock(paths), Database.open(paths.database_file) as database:
                yield _StoredKeys(database)


class _StoredKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self) -> tuple[Key, ...]:
        return tuple(self._database.run_blocking(table.read_keys).values())

    def create_key(self, wish: KeyWish) -> NewKey:
        return self._database.run_blocking(partial(table.insert_key, wish=wish, now=int(time.time())))

    def revoke_key(self, key_id: str) -> Key:
        return self._database.run_blocking(partial(table.revoke_key, key_id=key_id, now=int(time.time())))

    def organisations(self) -> tuple[Organisation, ...]:
        return tuple(self._database.run_blocking(table.read_organisations))

    def create_organisation(self, name: str) -> Organisation:
        now = int(time.time())
        return self._database.run_blocking(partial(table.insert_organisation, name=name, now=now))
