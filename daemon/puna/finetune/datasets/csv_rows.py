"""Labelled samples from a CSV. The rules are those of Spin-Up's guide, `How to Format Your CSV File`.

The guide's own example of optional columns has a row that ends before the last of them, so a row may be short as
long as its label is there.
"""

from collections.abc import Iterator, Sequence

from puna.domain.datasets import FindingCode, Labelled
from puna.finetune.datasets.csv_columns import Columns, check_separator, find_columns
from puna.finetune.datasets.csv_records import Record, read_records
from puna.finetune.datasets.failures import UnreadableDatasetError
from puna.finetune.datasets.lines import Line
from puna.finetune.datasets.parsed import Dropped, Faulty, Parsed, Sampled


class CsvRows:
    """The rows of one CSV; implements `RowReader`."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._records = read_records(lines)
        self._columns: Columns | None = None

    @property
    def ignored_columns(self) -> Sequence[str]:
        """The optional columns."""
        return self._columns.ignored if self._columns else ()

    def __iter__(self) -> Iterator[Parsed]:
        """Read the header, then yield what the other rows are."""
        columns = self._columns = self._read_header()
        for record in self._records:
            yield parse_record(record, columns)

    def _read_header(self) -> Columns:
        for record in self._records:
            if record.problem:
                check_separator(record.fields, record.row)
                message = f"The quotes of the header are wrong: {record.problem}; mend row {record.row}."
                raise UnreadableDatasetError(FindingCode.NO_HEADER, message, row=record.row)
            if not _is_blank(record.fields) and not _is_separator_hint(record):
                return find_columns(record.fields, record.row)
        raise UnreadableDatasetError(
            FindingCode.EMPTY_FILE, "The file holds nothing; add a header and rows of text and label."
        )


def parse_record(record: Record, columns: Columns) -> Parsed:
    """Return what a row below the header is."""
    fields = record.fields
    if record.problem:
        return Faulty(record.row, FindingCode.BAD_QUOTES, record.problem)
    if _is_blank(fields):
        return Dropped(record.row, FindingCode.EMPTY_ROW)
    if not columns.takes_surplus and not _is_blank(fields[columns.width :]):
        detail = f"{len(fields)} fields, where the header has {columns.width}"
        return Faulty(record.row, FindingCode.WRONG_FIELD_COUNT, detail)
    text = _field(fields, columns.text)
    labels = _labels(fields, columns)
    if not text:
        return Dropped(record.row, FindingCode.NO_TEXT)
    if not labels:
        return Faulty(record.row, FindingCode.MISSING_LABEL, "a text without a label")
    return _sampled(record, columns, text, labels)


def _sampled(record: Record, columns: Columns, text: str, labels: Sequence[str]) -> Sampled:
    distinct = tuple(dict.fromkeys(labels))
    notes = {
        FindingCode.REPEATED_LABELS: len(distinct) < len(labels),
        FindingCode.MISSING_FIELDS: len(record.fields) < columns.width,
        FindingCode.LABELS_WITH_COMMAS: not columns.has_several and "," in labels[0],
    }
    return Sampled(
        record.row, Labelled(text, distinct), tuple(code for code, is_so in notes.items() if is_so)
    )


def _labels(fields: Sequence[str], columns: Columns) -> list[str]:
    if not columns.has_several:
        label = _field(fields, columns.labels)
        return [label] if label else []
    end = len(fields) if columns.takes_surplus else columns.labels + 1
    return split_labels(",".join(fields[columns.labels : end]))


def split_labels(text: str) -> list[str]:
    """Return the labels between commas, those that are not blank."""
    return [label for part in text.split(",") if (label := part.strip())]


def _field(fields: Sequence[str], place: int) -> str:
    return fields[place].strip() if place < len(fields) else ""


def _is_blank(fields: Sequence[str]) -> bool:
    return not any(field.strip() for field in fields)


def _is_separator_hint(record: Record) -> bool:
    """Return whether a row is the line `sep=,`, with which spreadsheets are told what separates the columns."""
    return ",".join(record.fields).strip().lower() == "sep=,"
