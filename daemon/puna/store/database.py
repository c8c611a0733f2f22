"""The database: one connection in a thread of its own, which is the only one that writes the file.

All work is a function of the connection that runs there inside one transaction. What it wrote is on disk
when `run` returns, and none of it when it raises.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from puna.store.failures import translate_failure
from puna.store.opening import connect
from puna.store.schema import MIGRATIONS

_T = TypeVar("_T")


class Database:
    """One open database; a context manager that closes it. The instance lock keeps other daemons away."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        """Use `open`; the connection must have been made in that thread."""
        self._connection = connection
        self._thread = thread
        self._is_closed = False

    @classmethod
    def open(cls, path: Path, *, migrations: Sequence[str] = MIGRATIONS) -> Self:
        """Open or make the file, and bring its tables up to date. Blocks.

        A damaged file is put aside. Raises `DaemonError` when it cannot be used, or is of a newer version.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="puna-database")
        try:
            return cls(thread.submit(connect, path, migrations).result(), thread)
        except BaseException:
            thread.shutdown()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run the function in the database's thread, in one transaction, after those that came before.

        Its rows are on disk when this returns. When it raises, nothing is. It must fetch what it needs and
        neither commit nor keep the connection. Cancelling the caller does not stop the work. Raises what the
        function raises, `StoreError` when the disk is full or broken, `OverloadedError` when another program
        locks the file.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, self._transact, work))

    def run_blocking(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do the same without an event loop."""
        return self._thread.submit(self._transact, work).result()

    def close(self) -> None:
        """Finish what was asked for, and close the file. Blocks; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._thread.submit(self._connection.close).result()
            self._thread.shutdown()

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return self._commit(work)
        except sqlite3.Error as error:
            failure = translate_failure(error)
            if failure is None:
                raise
            raise failure from error

    def _commit(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            # Some failures, a full disk for one, have rolled back already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result
