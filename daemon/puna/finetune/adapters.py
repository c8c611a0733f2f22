"""The adapters of this daemon: `<folder>/<id>/adapter.gguf`, and `record.json` beside it, without which none counts."""

import asyncio
import logging
import re
import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from puna.domain.finetune import ADAPTER_PREFIX, AdapterRecord
from puna.errors import NotFoundError, StoreError
from puna.files import make_private_folder, write_private
from puna.finetune.export_turns import ExportTurns

_FILE = "adapter.gguf"
_RECORD = "record.json"
_ID = re.compile(rf"{ADAPTER_PREFIX}[0-9a-f]{{12}}")
_log = logging.getLogger(__name__)


class AdapterShelf:
    """Called from the event loop only; what blocks runs in threads. What is listed is what memory holds."""

    def __init__(self, folder: Path) -> None:
        """`folder` is read by `open` and changed by nobody else from then on."""
        self.exports = ExportTurns()
        """Taken by who merges one of them with its base."""
        self._folder = folder
        self._records: dict[str, AdapterRecord] = {}

    async def open(self) -> None:
        """Read what is there. Raises `DaemonError` when the folder cannot be used."""
        self._records = await asyncio.to_thread(_read_all, self._folder)

    def records(self) -> Sequence[AdapterRecord]:
        """Return all adapters, the oldest first."""
        return sorted(self._records.values(), key=lambda record: (record.created_at, record.id))

    def find(self, adapter_id: str) -> AdapterRecord | None:
        """Return the record of an adapter; None where there is none."""
        return self._records.get(adapter_id)

    def get(self, adapter_id: str) -> AdapterRecord:
        """Return the record of an adapter. Raises `NotFoundError`."""
        record = self.find(adapter_id)
        if record is None:
            raise NotFoundError(f"There is no adapter {adapter_id[:60]}; `puna adapters ls` lists them.")
        return record

    def path(self, adapter_id: str) -> Path:
        """Return where the file of an adapter lies, or would lie. Raises `NotFoundError` for what is no id."""
        return self._place(adapter_id) / _FILE

    async def prepare(self, adapter_id: str) -> Path:
        """Make the place of an adapter that is to be trained; return where its file goes. Raises `DaemonError`."""
        await asyncio.to_thread(make_private_folder, self._place(adapter_id))
        return self.path(adapter_id)

    async def add(self, record: AdapterRecord) -> None:
        """List an adapter whose file is there. Raises `StoreError` when the disk does not take the record."""
        target = self._place(record.id) / _RECORD
        content = msgspec.json.format(msgspec.json.encode(record), indent=2)
        try:
            await asyncio.to_thread(write_private, target, content)
        except OSError as error:
            message = f"The adapter's record cannot be written ({error.strerror}); free some space."
            raise StoreError(message) from error
        self._records[record.id] = record

    async def remove(self, adapter_id: str) -> AdapterRecord:
        """Remove an adapter with its file. Raises `NotFoundError`, and `StoreError` when the disk fails."""
        record = self.get(adapter_id)
        # Shielded: who leaves meanwhile leaves no record without a file.
        await asyncio.shield(self._remove(adapter_id))
        return record

    async def _remove(self, adapter_id: str) -> None:
        try:
            await asyncio.to_thread(_remove, self._place(adapter_id))
        except OSError as error:
            raise StoreError(f"The adapter {adapter_id} cannot be removed now: {error.strerror}.") from error
        self._records.pop(adapter_id, None)

    async def drop(self, adapter_id: str) -> None:
        """Remove the place of an adapter that did not come to be; one with a record stays."""
        if adapter_id not in self._records:
            await asyncio.to_thread(_sweep, [self._place(adapter_id)], set())

    async def sweep(self, wanted: Collection[str]) -> None:
        """Remove places without a record, but for these adapters, which are still to be trained."""
        places = self._folder.glob(f"{ADAPTER_PREFIX}*")
        await asyncio.to_thread(_sweep, places, {*self._records, *wanted})

    def _place(self, adapter_id: str) -> Path:
        # An id comes from outside: it names a folder of this one, or nothing.
        if not _ID.fullmatch(adapter_id):
            raise NotFoundError(f"There is no adapter {adapter_id[:60]}.")
        return self._folder / adapter_id


def _read_all(folder: Path) -> dict[str, AdapterRecord]:
    make_private_folder(folder)
    found = (_read(path) for path in sorted(folder.glob(f"{ADAPTER_PREFIX}*/{_RECORD}")))
    return {record.id: record for record in found if record is not None}


def _read(path: Path) -> AdapterRecord | None:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=AdapterRecord)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning("the adapter %s is left out: its record cannot be read (%s)", path.parent.name, error)
        return None
    is_whole = record.id == path.parent.name and path.with_name(_FILE).is_file()
    if not is_whole:
        _log.warning("the adapter %s is left out: its file is gone", path.parent.name)
    return record if is_whole else None


def _remove(place: Path) -> None:
    (place / _RECORD).unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)


def _sweep(places: Iterable[Path], wanted: set[str]) -> None:
    for place in places:
        # One with a record that could not be read stays: a newer Puna may know how.
        if place.name not in wanted and not (place / _RECORD).exists():
            shutil.rmtree(place, ignore_errors=True)
