"""All datasets of one daemon, each kept once by its content. Every method blocks on the disk: call it in a thread.

A file on disk is added from its path, and everything else through an `Upload`.
"""

import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from puna.domain.datasets import Dataset, DatasetFormat, DatasetLimits, Sample
from puna.errors import InvalidRequestError, NotFoundError, StoreError
from puna.finetune.datasets.failures import DatasetRefusedError
from puna.finetune.datasets.opening import read_samples
from puna.finetune.datasets.shelf import Shelf, hash_file, read_chunks
from puna.finetune.datasets.upload import Upload, report_too_large


class DatasetStore:
    """The datasets in a folder, which no other process changes."""

    def __init__(self, folder: Path, limits: DatasetLimits, *, now: Callable[[], float] = time.time) -> None:
        """`limits` hold for what is added from now on; `now` gives seconds since 1970."""
        self._shelf = Shelf(folder)
        self._limits = limits
        self._now = now
        self._changing = threading.Lock()

    def open(self) -> None:
        """Clear away what a crash left. Call it once, before anything is added. Raises `DaemonError`."""
        self._shelf.prepare()
        self._shelf.sweep()

    def begin(self, *, name: str = "", stated: DatasetFormat | None = None) -> Upload:
        """Return an upload to write to. `name` is the file's, `stated` the format where somebody says it."""
        return Upload(self._shelf, self._changing, self._limits, name=name, stated=stated, now=self._now)

    def add(self, chunks: Iterable[bytes], *, name: str = "", stated: DatasetFormat | None = None) -> Dataset:
        """Keep a dataset. Raises `DatasetRefusedError` when it has errors, `StoreError` when the disk fails."""
        with self.begin(name=name, stated=stated) as upload:
            for chunk in chunks:
                upload.write(chunk)
            return upload.finish()

    def add_file(self, path: Path, *, stated: DatasetFormat | None = None) -> Dataset:
        """Keep a copy of a file. Raises as `add`, and `InvalidRequestError` when it cannot be read."""
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise InvalidRequestError(f"{path.name or path} is no file; name a .csv, .jsonl or .txt file.")
        if status.st_size > self._limits.max_bytes:
            raise DatasetRefusedError(report_too_large(status.st_size, self._limits))
        return self.add(_read_given(path), name=path.name, stated=stated)

    def list(self) -> tuple[Dataset, ...]:
        """Return all datasets, the newest first."""
        return tuple(sorted(self._shelf.records(), key=lambda each: (-each.added_at, each.id)))

    def get(self, dataset_id: str) -> Dataset:
        """Return a dataset. Raises `NotFoundError`."""
        dataset = self._shelf.record(dataset_id)
        if dataset is None:
            raise NotFoundError(f"There is no dataset {dataset_id[:60]}; `puna datasets ls` lists them.")
        return dataset

    def remove(self, dataset_id: str) -> None:
        """Remove a dataset. Raises `NotFoundError`, and `StoreError` when its files cannot be removed."""
        with self._changing:
            dataset = self.get(dataset_id)
            try:
                self._shelf.remove(dataset)
            except OSError as error:
                message = f"The dataset {dataset.id} cannot be removed now: {error.strerror}."
                raise StoreError(message) from error

    def check(self, dataset: Dataset) -> None:
        """Raise `StoreError` when the content is not what was added: before it is trained on."""
        try:
            is_whole = hash_file(self._shelf.content(dataset.sha256)) == dataset.sha256
        except OSError as error:
            raise _damaged(dataset) from error
        if not is_whole:
            raise _damaged(dataset)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        """Yield the samples as often as it is called, in the order of the file.

        Raises `StoreError` when the content is gone, and may do so in the middle; `check` it first.
        """
        try:
            yield from read_samples(read_chunks(self._shelf.content(dataset.sha256)), dataset.format)
        except (OSError, InvalidRequestError) as error:
            raise _damaged(dataset) from error


def _read_given(path: Path) -> Iterator[bytes]:
    try:
        yield from read_chunks(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InvalidRequestError:
    reason = (error.strerror if isinstance(error, OSError) else None) or "its name is wrong"
    return InvalidRequestError(f"The file {path.name or path} cannot be read: {reason}.", field="file")


def _damaged(dataset: Dataset) -> StoreError:
    return StoreError(f"The stored dataset {dataset.id} is damaged or gone; remove it and add it again.")
