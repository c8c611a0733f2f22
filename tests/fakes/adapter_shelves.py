"""Adapters as a training leaves them: a file with random weights, and its record."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from fakes.adapters import write_adapter
from puna.domain.datasets import SampleKind
from puna.domain.finetune import AdapterRecord
from puna.domain.training import TrainingSettings
from puna.models.header import read_model_header


def adapter_id(number: int) -> str:
    return f"ft_model_{number:012x}"


def record_of(
    number: int,
    base: Path,
    *,
    labels: Sequence[str] = (),
    is_multi_label: bool = False,
    base_id: str = "demo",
) -> AdapterRecord:
    """Return the record of an adapter that was trained on a file."""
    return AdapterRecord(
        id=adapter_id(number),
        name=f"adapter {number}",
        base_id=base_id,
        base_sha256=hashlib.sha256(base.read_bytes()).hexdigest(),
        base_size_bytes=base.stat().st_size,
        base_architecture=read_model_header(base).architecture,
        dataset_id="dataset",
        dataset_sha256="0" * 64,
        kind=SampleKind.LABELLED if labels else SampleKind.PLAIN_TEXT,
        labels=tuple(labels),
        is_multi_label=is_multi_label,
        settings=TrainingSettings(),
        steps=1,
        loss=1.0,
        before=None,
        after=None,
        seconds=1.0,
        size_bytes=1,
        created_at=1_700_000_000 + number,
    )


def put_adapter(folder: Path, record: AdapterRecord, base: Path, *, seed: int, strength: float = 0.3) -> Path:
    """Write an adapter with its record into the folder of a shelf; return its file."""
    place = folder / record.id
    place.mkdir(parents=True)
    path = write_adapter(place / "adapter.gguf", base, seed=seed, strength=strength)
    record = replace(record, size_bytes=path.stat().st_size)
    (place / "record.json").write_bytes(msgspec.json.encode(record))
    return path


class FixedShelf:
    """Adapters in memory; `puna.finetune.adapters.AdapterShelf` without a disk of its own."""

    def __init__(self, folder: Path, *records: AdapterRecord) -> None:
        self.folder = folder
        self.known = {record.id: record for record in records}

    def records(self) -> Sequence[AdapterRecord]:
        return list(self.known.values())

    def find(self, adapter_id: str, /) -> AdapterRecord | None:
        return self.known.get(adapter_id)

    def path(self, adapter_id: str, /) -> Path:
        return self.folder / adapter_id / "adapter.gguf"
