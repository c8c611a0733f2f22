"""Exports of adapters that were made for a test."""

import struct
import sys
from pathlib import Path

from msgspec.structs import replace

from fakes import adapter_shelves
from puna.domain.finetune import AdapterRecord
from puna.merging.blueprint import PlannedTensor, encode_head, plan_tensors
from puna.merging.pairs import read_pairs
from puna.models.gguf.reader import read_header

_RUN = "from puna.merging import main; raise SystemExit(main())"
COMMAND = [sys.executable, "-P", "-c", _RUN]
FULL_DISK = [
    sys.executable,
    "-P",
    "-c",
    "import shutil; from collections import namedtuple; U = namedtuple('U', 'total used free'); "
    "shutil.disk_usage = lambda path: U(10**12, 10**12, 10**6); " + _RUN,
]
"""A merger that sees one megabyte free."""
FAILING_DISK = [
    sys.executable,
    "-P",
    "-c",
    "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)); " + _RUN,
]
"""A merger whose writes fail in the midst of the file."""
SLOW = [
    sys.executable,
    "-P",
    "-c",
    "import time; from puna.merging import conversion; conversion._PIECE_BYTES = 4096; "
    "conversion._PIECE_ELEMENTS = 1024; _convert = conversion._convert; "
    "conversion._convert = lambda *a: (time.sleep(0.02), _convert(*a))[1]; " + _RUN,
]
"""A merger that takes its time."""


def record_of(base: Path, *, sha: str | None = None) -> AdapterRecord:
    """Return the record of an adapter for this base, whose id is `base`."""
    record = adapter_shelves.record_of(1, base, base_id="base")
    return replace(
        record, id="ft_model_0123456789ab", name="Complaints", base_sha256=sha or record.base_sha256
    )


def split_model(path: Path, folder: Path) -> tuple[Path, Path]:
    """Write a model as two files, as llama.cpp's gguf-split does."""
    header, pairs = read_header(path), read_pairs(path)
    planned = plan_tensors([header.tensors], (), None, header.alignment)
    half = len(planned) // 2
    paths = (folder / "split-00001-of-00002.gguf", folder / "split-00002-of-00002.gguf")
    for number, (part, chosen) in enumerate(zip(paths, (planned[:half], planned[half:]), strict=True)):
        start = chosen[0].offset
        end = chosen[-1].offset + chosen[-1].size_bytes
        moved = [
            PlannedTensor(t.source, 0, t.type_name, is_changed=False, offset=t.offset - start) for t in chosen
        ]
        said = {
            "split.no": struct.pack("<IH", 2, number),
            "split.count": struct.pack("<IH", 2, 2),
            "split.tensors.count": struct.pack("<Ii", 5, len(planned)),
        }
        head = encode_head((pairs if number == 0 else {}) | said, moved, header.alignment)
        content = path.read_bytes()[header.data_offset :][start:end]
        part.write_bytes(head + content + bytes(-len(content) % header.alignment))
    return paths
