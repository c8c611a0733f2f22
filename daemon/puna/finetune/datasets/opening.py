"""From the chunks of a file to its rows: the format is found and its reader chosen."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import assert_never

from puna.domain.datasets import DatasetFormat, Sample
from puna.finetune.datasets.csv_rows import CsvRows
from puna.finetune.datasets.detection import detect_format
from puna.finetune.datasets.jsonl_rows import JsonlRows
from puna.finetune.datasets.lines import MAX_ROW_BYTES, read_lines
from puna.finetune.datasets.parsed import RowReader, Sampled
from puna.finetune.datasets.text_rows import TextRows, has_blocks

HEAD_BYTES = MAX_ROW_BYTES
"""As much as is looked at to tell the format."""


def open_rows(
    chunks: Iterable[bytes], *, name: str = "", stated: DatasetFormat | None = None
) -> tuple[DatasetFormat, RowReader]:
    """Return the format of a file, and a reader of its rows. Raises `UnreadableDatasetError` as `detect_format`."""
    head, rest = _take_head(iter(chunks))
    found = detect_format(head, name, stated)
    lines = read_lines(chain([head], rest))
    match found:
        case DatasetFormat.CSV:
            return found, CsvRows(lines)
        case DatasetFormat.JSONL:
            return found, JsonlRows(lines)
        case DatasetFormat.TEXT:
            return found, TextRows(lines, has_blocks=has_blocks(head))
        case _:
            assert_never(found)


def read_samples(chunks: Iterable[bytes], stated: DatasetFormat) -> Iterator[Sample]:
    """Yield the samples of a dataset that was found usable, in the order of its rows.

    Raises `UnreadableDatasetError` where it is no longer what it was; faulty rows are left out.
    """
    _, rows = open_rows(chunks, stated=stated)
    return (parsed.sample for parsed in rows if isinstance(parsed, Sampled))


def _take_head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size >= HEAD_BYTES:
            break
    return b"".join(taken), chunks
