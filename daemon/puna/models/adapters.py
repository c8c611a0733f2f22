"""Adapters that were trained here, as models of the catalogue: each with the base that it was made for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from puna.domain.finetune import AdapterRecord
from puna.domain.models import ModelEntry, ModelKind, ModelSource
from puna.errors import ModelLoadError
from puna.models.fingerprints import Fingerprints
from puna.models.listing import UnusableFile


class AdapterFiles(Protocol):
    """What was trained here; `puna.finetune.adapters.AdapterShelf` is the real one. Nothing here blocks."""

    def records(self) -> Sequence[AdapterRecord]:
        """Return all adapters."""
        ...

    def find(self, adapter_id: str, /) -> AdapterRecord | None:
        """Return the adapter with this id."""
        ...

    def path(self, adapter_id: str, /) -> Path:
        """Return where its file lies."""
        ...


class AdaptedModels:
    """Finds the bases of adapters, by their content."""

    def __init__(self, shelf: AdapterFiles, fingerprints: Fingerprints | None = None) -> None:
        self._shelf = shelf
        self._fingerprints = fingerprints or Fingerprints()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._shelf.find(name) is not None

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of all adapters."""
        return tuple(record.id for record in self._shelf.records())

    async def find(self, name: str, models: Iterable[ModelEntry]) -> ModelEntry | UnusableFile | None:
        """Return an adapter with its base among these models, or why it cannot be used; None for other names.

        Reads the whole of a base's file in a thread where its hash is not known yet.
        """
        record = self._shelf.find(name)
        return await self._join(record, to_candidates(record, models), self._is_base) if record else None

    def with_sizes(self, entry: ModelEntry) -> ModelEntry:
        """Return a model with the sizes of the adapters that seem to stand on it; an adapter as it is."""
        if entry.path is None or entry.adapter is not None:
            return entry
        sizes = [
            record.size_bytes
            for record in self._shelf.records()
            if record.base_id == entry.id or _looks_like_base(record, entry)
        ]
        return replace(entry, adapter_sizes=tuple(sizes))

    async def find_all(self, models: Sequence[ModelEntry]) -> list[ModelEntry | UnusableFile]:
        """Return every adapter, by id, as `find` does but without reading bases, which may take minutes.

        A base that was not read yet counts where its name, architecture and size are right; `find` looks closer.
        """
        records = sorted(self._shelf.records(), key=lambda record: record.id)
        return [
            await self._join(record, to_candidates(record, models), self._may_be_base) for record in records
        ]

    async def _join(
        self, record: AdapterRecord, candidates: Sequence[ModelEntry], is_base: "_IsBase"
    ) -> ModelEntry | UnusableFile:
        path = self._shelf.path(record.id)
        if not await asyncio.to_thread(path.is_file):
            return _unusable(record, path, f"The file of {record.id} is gone; train it again.")
        for base in candidates:
            if await is_base(record, base):
                return to_adapted(record, path, base)
        return _unusable(record, path, _why_without_base(record, candidates))

    async def _is_base(self, record: AdapterRecord, base: ModelEntry) -> bool:
        assert base.path is not None
        try:
            return await self._fingerprints.sha256_of(base.path) == record.base_sha256
        except OSError:
            return False

    async def _may_be_base(self, record: AdapterRecord, base: ModelEntry) -> bool:
        assert base.path is not None
        try:
            known = await self._fingerprints.known_sha256_of(base.path)
        except OSError:
            return False
        return _looks_like_base(record, base) if known is None else known == record.base_sha256


_IsBase = Callable[[AdapterRecord, ModelEntry], Awaitable[bool]]


def expect_usable(found: ModelEntry | UnusableFile) -> ModelEntry:
    """Return the adapter that can be used. Raises `ModelLoadError` with the reason why it cannot."""
    if isinstance(found, UnusableFile):
        raise ModelLoadError(found.reason)
    return found


def to_candidates(record: AdapterRecord, models: Iterable[ModelEntry]) -> list[ModelEntry]:
    """Return the models that may be an adapter's base, that of its name first. Pure."""
    own = [each for each in models if each.id == record.base_id and each.path and not each.adapter]
    others = [each for each in models if each.id != record.base_id and _looks_like_base(record, each)]
    return own + others


def _looks_like_base(record: AdapterRecord, entry: ModelEntry) -> bool:
    return (
        entry.path is not None
        and entry.adapter is None
        and entry.kind is ModelKind.TEXT
        and entry.architecture == record.base_architecture
        and record.base_size_bytes in (0, entry.size_bytes)
    )


def to_adapted(record: AdapterRecord, path: Path, base: ModelEntry) -> ModelEntry:
    """Return an adapter as a model: what its base can do, in its own name. Pure."""
    trained = datetime.fromtimestamp(record.created_at, UTC).date()
    return replace(
        base,
        id=record.id,
        name=record.name or record.id,
        path=path,
        size_bytes=record.size_bytes,
        description=f"{base.id}, fine-tuned here on {trained}",
        modified_s=float(record.created_at),
        source=ModelSource.ADAPTER,
        files=(path,),
        projector=None,
        projector_size_bytes=0,
        adapter=path,
        base=base.id,
    )


def _unusable(record: AdapterRecord, path: Path, reason: str) -> UnusableFile:
    return UnusableFile(id=record.id, path=path, reason=reason, source=ModelSource.ADAPTER, files=(path,))


def _why_without_base(record: AdapterRecord, candidates: Sequence[ModelEntry]) -> str:
    if any(each.id == record.base_id for each in candidates):
        return (
            f"{record.id} was trained on another file than the {record.base_id} that is here now, and fits no "
            "other; put the file of that time back."
        )
    return f"{record.id} needs its base model {record.base_id}, which is not here; put its file back."
