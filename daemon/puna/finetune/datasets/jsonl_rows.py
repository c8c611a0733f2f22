"""Samples from JSONL: an object a line, whose fields tell what kind of sample it is. A file has one kind."""

from collections.abc import Iterator, Sequence

from puna.domain.datasets import FindingCode, SampleKind
from puna.finetune.datasets.jsonl_objects import (
    KNOWN_FIELDS,
    UnusableRowError,
    decode_object,
    find_kind,
    read_sample,
)
from puna.finetune.datasets.lines import Line
from puna.finetune.datasets.parsed import MAX_IGNORED, Dropped, Faulty, Parsed, Sampled


class JsonlRows:
    """The rows of one file; implements `RowReader`."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._kind: SampleKind | None = None
        self._ignored: dict[str, None] = {}

    @property
    def ignored_columns(self) -> Sequence[str]:
        """The fields that no kind of sample has."""
        return tuple(self._ignored)[:MAX_IGNORED]

    def __iter__(self) -> Iterator[Parsed]:
        """Yield what the lines are."""
        for number, text in self._lines:
            try:
                yield self._read(number, text)
            except UnusableRowError as error:
                is_faulty = bool(error.detail)
                yield Faulty(number, error.code, error.detail) if is_faulty else Dropped(number, error.code)

    def _read(self, number: int, text: str) -> Sampled:
        if not text.strip():
            raise UnusableRowError(FindingCode.EMPTY_ROW)
        fields = decode_object(text)
        if len(self._ignored) < MAX_IGNORED:
            self._ignored.update(dict.fromkeys(name for name in fields if name not in KNOWN_FIELDS))
        kind = find_kind(fields)
        self._kind = self._kind or kind
        if kind is not self._kind:
            raise _differs(kind, self._kind)
        sample, notes = read_sample(kind, fields)
        return Sampled(number, sample, notes)


def _differs(kind: SampleKind, first: SampleKind) -> UnusableRowError:
    if (kind, first) == (SampleKind.PLAIN_TEXT, SampleKind.LABELLED):
        return UnusableRowError(FindingCode.MISSING_LABEL, "a text without a label")
    return UnusableRowError(
        FindingCode.MIXED_KINDS, f"{_describe(kind)}, where the file began with {_describe(first)}"
    )


def _describe(kind: SampleKind) -> str:
    match kind:
        case SampleKind.LABELLED:
            return "`text` with a label"
        case SampleKind.PLAIN_TEXT:
            return "`text` without a label"
        case SampleKind.COMPLETION:
            return "`prompt` and `completion`"
        case SampleKind.CONVERSATION:
            return "`messages`"
