"""A dataset on its way in: it counts when it is whole, checked and on disk, and else leaves nothing."""

import errno
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from puna.domain.datasets import Dataset, DatasetFormat, DatasetLimits, DatasetReport
from puna.errors import StoreError
from puna.finetune.datasets.failures import DatasetRefusedError
from puna.finetune.datasets.inspection import inspect_dataset, too_large
from puna.finetune.datasets.shelf import Shelf, dataset_id, read_chunks

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_NAME_CHARACTERS = 200


class Upload:
    """Takes the chunks of one file. All methods block on the disk; use it as a context manager, in threads.

    Every method may raise `StoreError` when the disk fails; the upload is given up then.
    """

    def __init__(
        self,
        shelf: Shelf,
        changing: threading.Lock,
        limits: DatasetLimits,
        *,
        name: str,
        stated: DatasetFormat | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin. `changing` is held while the folder changes; `now` gives seconds since 1970."""
        self._shelf = shelf
        self._changing = changing
        self._limits = limits
        self._name = clean_name(name)
        self._stated = stated
        self._now = now
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._part = shelf.part(secrets.token_hex(8))
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
            self._stream = os.fdopen(os.open(self._part, flags, 0o600), "wb")
        except OSError as error:
            raise storing_failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises `DatasetRefusedError` when they are more than allowed."""
        self._size_bytes += len(chunk)
        if self._size_bytes > self._limits.max_bytes:
            self.abort()
            raise DatasetRefusedError(report_too_large(self._size_bytes, self._limits))
        self._digest.update(chunk)
        try:
            self._stream.write(chunk)
        except OSError as error:
            self.abort()
            raise storing_failed(error) from error

    def finish(self) -> Dataset:
        """Check what came and keep it; what was there already stays as it was. Takes some seconds for 50 MB.

        Raises `DatasetRefusedError` with the report when it has errors; nothing is kept then.
        """
        try:
            self._sync()
            report = inspect_dataset(
                read_chunks(self._part), name=self._name, stated=self._stated, limits=self._limits
            )
            if report.format is None or not report.is_usable:
                raise DatasetRefusedError(report)
            with self._changing:
                return self._keep(report, report.format)
        except OSError as error:
            raise storing_failed(error) from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind; does nothing after a `finish` that kept the dataset."""
        with suppress(OSError):  # what could not be written is not wanted any more
            self._stream.close()
        with suppress(OSError):  # what cannot be removed now is at the next start
            self._part.unlink(missing_ok=True)

    def _sync(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def _keep(self, report: DatasetReport, found: DatasetFormat) -> Dataset:
        sha256 = self._digest.hexdigest()
        wanted = dataset_id(sha256, found)
        dataset = self._shelf.record(wanted) or Dataset(
            id=wanted,
            name=self._name,
            sha256=sha256,
            format=found,
            size_bytes=self._size_bytes,
            added_at=int(self._now()),
            report=report,
        )
        self._shelf.put(self._part, dataset)
        return dataset


def clean_name(name: str) -> str:
    """Return the name of a file without its folders, short and printable."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last))[-_NAME_CHARACTERS:]


def report_too_large(size_bytes: int, limits: DatasetLimits) -> DatasetReport:
    """Return the report of a file that is larger than allowed; nothing else is known of it."""
    return DatasetReport(
        format=None,
        kind=None,
        size_bytes=size_bytes,
        rows=0,
        samples=0,
        characters=0,
        longest_characters=0,
        errors=(too_large(limits).finding,),
    )


def storing_failed(error: OSError) -> StoreError:
    """Return the error for a dataset that could not be written, without a path."""
    if error.errno in _FULL:
        return StoreError("The dataset was not stored, because the disk is full; make room and add it again.")
    return StoreError(f"The dataset was not stored: {error.strerror or 'the disk does not work'}.")
