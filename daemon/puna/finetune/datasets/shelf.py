"""The folder in which datasets lie: paths, records, and what a crash has left. All functions block on the disk.

`<sha256>.data` is a content, kept once; `<id>.json` is the record of a dataset. The record is written last and
removed first: only what has one counts.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from puna.domain.datasets import Dataset, DatasetFormat
from puna.files import make_private_folder, write_private

CHUNK_BYTES = 64 * 1024

_DATA = ".data"
_RECORD = ".json"
_PART = ".part"
_ID = re.compile(r"ds_[0-9a-f]{16}_[a-z]+")
_log = logging.getLogger(__name__)


def dataset_id(sha256: str, found: DatasetFormat) -> str:
    """Return the id of a content in a format: 64 bits of its hash tell datasets of one user apart."""
    return f"ds_{sha256[:16]}_{found}"


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces. Raises `OSError`."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def hash_file(path: Path) -> str:
    """Return the sha256 of a file. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Shelf:
    """One folder. Who uses it takes care that one thread changes it at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folder. Raises `DaemonError`."""
        make_private_folder(self.folder)

    def sweep(self) -> None:
        """Remove uploads that were never finished, and contents without a record. None may be under way."""
        if not self.folder.is_dir():
            return
        records = [_read_record(path) for path in self._record_paths()]
        wanted = {record.sha256 for record in records if record}
        for path in self.folder.iterdir():
            # The content of a record that cannot be read now may be needed yet.
            is_orphan = path.suffix == _DATA and path.stem not in wanted and all(records)
            if path.suffix == _PART or is_orphan:
                _remove(path)

    def part(self, token: str) -> Path:
        """Return where an upload is written."""
        return self.folder / f"{token}{_PART}"

    def content(self, sha256: str) -> Path:
        """Return where a content lies, or would lie."""
        return self.folder / f"{sha256}{_DATA}"

    def records(self) -> Iterator[Dataset]:
        """Yield the records that can be read. Raises `OSError`."""
        for path in self._record_paths():
            dataset = _read_record(path)
            if dataset is not None:
                yield dataset

    def record(self, wanted: str) -> Dataset | None:
        """Return the record of a dataset; None where there is none."""
        # An id comes from outside: it names a file of this folder, or nothing.
        return _read_record(self._record_path(wanted)) if _ID.fullmatch(wanted) else None

    def put(self, part: Path, dataset: Dataset) -> None:
        """Keep a finished upload under its content, then its record. Raises `OSError`."""
        place = self.content(dataset.sha256)
        if place.is_file() and hash_file(place) == dataset.sha256:
            part.unlink()
        else:
            part.replace(place)
        try:
            write_private(self._record_path(dataset.id), msgspec.json.encode(dataset))
        except OSError:
            self._drop_unneeded(dataset.sha256)
            raise

    def remove(self, dataset: Dataset) -> None:
        """Remove a record, and the content that no other record needs. Raises `OSError`."""
        self._record_path(dataset.id).unlink(missing_ok=True)
        self._drop_unneeded(dataset.sha256)

    def _drop_unneeded(self, sha256: str) -> None:
        if all(record.sha256 != sha256 for record in self.records()):
            self.content(sha256).unlink(missing_ok=True)

    def _record_paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_RECORD}"))

    def _record_path(self, wanted: str) -> Path:
        return self.folder / f"{wanted}{_RECORD}"


def _read_record(path: Path) -> Dataset | None:
    try:
        dataset = msgspec.json.decode(path.read_bytes(), type=Dataset)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning(
            "The record %s of a dataset cannot be read (%s): add the dataset again.", path.name, error
        )
        return None
    return dataset if dataset.id == path.stem else None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s, left by an upload, cannot be removed (%s).", path.name, error.strerror)
