"""What a format's reader says of each row, and what it has to offer."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from puna.domain.datasets import FindingCode, Sample

MAX_IGNORED = 20
"""Names of ignored columns that a report holds."""


class Sampled(NamedTuple):
    """A row that is a sample."""

    row: int
    sample: Sample
    notes: tuple[FindingCode, ...] = ()
    """Warnings that only the reader can give."""


class Dropped(NamedTuple):
    """A row that holds nothing to train on, and needs no mending."""

    row: int
    code: FindingCode


class Faulty(NamedTuple):
    """A row that must be mended."""

    row: int
    code: FindingCode
    detail: str
    """What is wrong with it, as the end of a sentence."""


Parsed = Sampled | Dropped | Faulty


class RowReader(Protocol):
    """Reads one dataset, once, row by row. Raises `UnreadableDatasetError` where it cannot go on."""

    @property
    def ignored_columns(self) -> Sequence[str]:
        """The first columns that are not looked at; complete when all rows are read."""

    def __iter__(self) -> Iterator[Parsed]: ...
