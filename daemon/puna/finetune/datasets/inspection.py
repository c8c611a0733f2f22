"""One pass over a dataset, and the report about it."""

from collections.abc import Iterable, Iterator

from puna.domain.datasets import (
    MAX_LABEL_CHARACTERS,
    DatasetFormat,
    DatasetLimits,
    DatasetReport,
    Finding,
    FindingCode,
    Labelled,
    Sample,
    SampleKind,
    kind_of,
)
from puna.finetune.datasets.content import texts_of
from puna.finetune.datasets.duplicates import Duplicates
from puna.finetune.datasets.failures import UnreadableDatasetError
from puna.finetune.datasets.findings import Findings
from puna.finetune.datasets.label_counts import LabelCounts
from puna.finetune.datasets.opening import open_rows
from puna.finetune.datasets.parsed import Dropped, Faulty, Parsed, RowReader, Sampled
from puna.finetune.datasets.wording import LONG_LABEL_CHARACTERS, LONG_ROW_CHARACTERS, show_label, show_text

FEW_SAMPLES = 20
_LINES_PER_ROW = 50
"""On average, of the rows that are allowed: what has more is blank lines, of which a file can hold millions."""
_MIB = 1024 * 1024


def inspect_dataset(
    chunks: Iterable[bytes],
    *,
    name: str = "",
    stated: DatasetFormat | None = None,
    limits: DatasetLimits | None = None,
) -> DatasetReport:
    """Return what a dataset is and what is wrong with it; nothing is raised for that.

    `name` is the file's, and `stated` the format where somebody says what it is. Takes some seconds for 50 MB.
    """
    inspection = _Inspection(limits or DatasetLimits())
    try:
        inspection.read(chunks, name, stated)
    except UnreadableDatasetError as error:
        return inspection.report(stopped_by=error.finding)
    return inspection.report()


class _Inspection:
    def __init__(self, limits: DatasetLimits) -> None:
        self._limits = limits
        self._findings = Findings()
        self._labels = LabelCounts()
        self._duplicates = Duplicates()
        self._format: DatasetFormat | None = None
        self._reader: RowReader | None = None
        self._kind: SampleKind | None = None
        self._is_multi_label = False
        self._size_bytes = self._lines = self._rows = self._filled_rows = 0
        self._samples = self._characters = self._longest = 0

    def read(self, chunks: Iterable[bytes], name: str, stated: DatasetFormat | None) -> None:
        """Take all rows in. Raises `UnreadableDatasetError` where reading cannot go on."""
        self._format, self._reader = open_rows(self._measure(chunks), name=name, stated=stated)
        for parsed in self._reader:
            self._take(parsed)

    def report(self, stopped_by: Finding | None = None) -> DatasetReport:
        """Return the report; `stopped_by` is why the rest was not read."""
        return DatasetReport(
            format=self._format,
            kind=self._kind,
            size_bytes=self._size_bytes,
            rows=self._rows,
            samples=self._samples,
            characters=self._characters,
            longest_characters=self._longest,
            labels=self._labels.counts(),
            is_multi_label=self._is_multi_label,
            ignored_columns=self._show_ignored(),
            dropped=self._findings.drops(),
            warnings=(*self._findings.warnings(), *self._warn_of_all(is_whole=stopped_by is None)),
            errors=self._collect_errors(stopped_by),
        )

    def _show_ignored(self) -> tuple[str, ...]:
        names = self._reader.ignored_columns if self._reader else ()
        return tuple(show_text(name, LONG_LABEL_CHARACTERS) for name in names)

    def _measure(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._size_bytes += len(chunk)
            if self._size_bytes > self._limits.max_bytes:
                raise too_large(self._limits)
            self._count_lines(chunk)
            yield chunk

    def _count_lines(self, chunk: bytes) -> None:
        self._lines += chunk.count(b"\n") or chunk.count(b"\r")
        most = self._limits.max_rows * _LINES_PER_ROW
        if self._lines > most:
            raise UnreadableDatasetError(
                FindingCode.TOO_MANY_ROWS,
                f"There are more than {most:,} lines; remove the empty ones, divide the file, or raise the limit.",
            )

    def _take(self, parsed: Parsed) -> None:
        self._rows += 1
        if not (isinstance(parsed, Dropped) and parsed.code is FindingCode.EMPTY_ROW):
            self._count_filled(parsed.row)
        match parsed:
            case Sampled():
                self._take_sample(parsed)
            case Dropped():
                self._findings.note(parsed.code, parsed.row)
            case Faulty():
                self._findings.note(parsed.code, parsed.row, parsed.detail)

    def _count_filled(self, row: int) -> None:
        self._filled_rows += 1
        if self._filled_rows > self._limits.max_rows:
            raise UnreadableDatasetError(
                FindingCode.TOO_MANY_ROWS,
                f"There are more than {self._limits.max_rows:,} rows; divide the file, or raise the limit.",
                row=row,
            )

    def _take_sample(self, parsed: Sampled) -> None:
        row, sample = parsed.row, parsed.sample
        self._samples += 1
        self._kind = self._kind or kind_of(sample)
        for code in (*parsed.notes, *self._look_at(sample)):
            self._findings.note(code, row)
        if isinstance(sample, Labelled):
            self._take_labels(sample, row)

    def _look_at(self, sample: Sample) -> Iterator[FindingCode]:
        texts = texts_of(sample)
        characters = sum(map(len, texts))
        self._characters += characters
        self._longest = max(self._longest, characters)
        if characters > LONG_ROW_CHARACTERS:
            yield FindingCode.LONG_ROWS
        if any("\ufffd" in text for text in texts):
            yield FindingCode.DAMAGED_CHARACTERS
        relation = self._duplicates.check(sample)
        if relation:
            yield relation

    def _take_labels(self, sample: Labelled, row: int) -> None:
        self._is_multi_label |= len(sample.labels) > 1
        longest = max(sample.labels, key=len)
        if len(longest) > MAX_LABEL_CHARACTERS:
            self._findings.note(FindingCode.LABEL_TOO_LONG, row, show_label(longest))
            return
        if len(longest) > LONG_LABEL_CHARACTERS:
            self._findings.note(FindingCode.LONG_LABELS, row, show_label(longest))
        if not self._labels.note(sample.labels, row):
            self._findings.note(FindingCode.TOO_MANY_LABELS, row)

    def _warn_of_all(self, *, is_whole: bool) -> tuple[Finding, ...]:
        """Return warnings about the whole; those about frequencies only where all of it was read."""
        case = self._labels.case_warnings()
        if not is_whole or not self._samples:
            return case
        balance = self._labels.balance_warnings() if self._kind is SampleKind.LABELLED else ()
        return (*case, *balance, *_warn_of_few(self._samples))

    def _collect_errors(self, stopped_by: Finding | None) -> tuple[Finding, ...]:
        errors = (*([stopped_by] if stopped_by else []), *self._findings.errors())
        if errors or self._samples:
            return errors
        advice = "add rows below the header" if self._format is DatasetFormat.CSV else "add some"
        message = f"There is no sample in the file; {advice}."
        return (Finding(code=FindingCode.NO_SAMPLES, message=message, count=0),)


def too_large(limits: DatasetLimits) -> UnreadableDatasetError:
    """Return the error for a file of more bytes than allowed."""
    return UnreadableDatasetError(
        FindingCode.TOO_LARGE,
        f"The file is larger than {_show_size(limits.max_bytes)}; divide it, or raise the limit.",
    )


def _show_size(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:,.4g} MB" if size_bytes >= _MIB else f"{size_bytes:,} bytes"


def _warn_of_few(samples: int) -> tuple[Finding, ...]:
    if samples >= FEW_SAMPLES:
        return ()
    what = "There is only one sample" if samples == 1 else f"There are only {samples} samples"
    message = f"{what}; from fewer than {FEW_SAMPLES} a model learns little."
    return (Finding(code=FindingCode.FEW_ROWS, message=message, count=samples),)
