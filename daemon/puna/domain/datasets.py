"""Datasets to fine-tune on: their samples, and the one report that says what was found in them.

A row number is what a spreadsheet shows: the header of a CSV is row 1, and empty rows count. In JSONL and plain
text it is the number of the line, for a text of several lines that of its first.
"""

from enum import StrEnum

from msgspec import Struct

from puna.domain.chat import Message

MAX_LABELS = 1000
"""Different labels of one dataset; more of them are no categories."""
MAX_LABEL_CHARACTERS = 256
"""Of one label; a longer one is a text."""


class DatasetFormat(StrEnum):
    """How a dataset is written."""

    CSV = "csv"
    """Rows of `text` with `label` or `labels`."""
    JSONL = "jsonl"
    """A JSON object a line, with `text`, with `prompt` and `completion`, or with `messages`."""
    TEXT = "text"
    """Plain text: a sample a line, or samples with blank lines between them."""


class SampleKind(StrEnum):
    """What the samples of a dataset are; a dataset has one kind."""

    LABELLED = "labelled"
    PLAIN_TEXT = "plain_text"
    COMPLETION = "completion"
    CONVERSATION = "conversation"


class Labelled(Struct, frozen=True, tag=SampleKind.LABELLED.value):
    """A text and its labels: at least one, none twice."""

    text: str
    labels: tuple[str, ...]


class PlainText(Struct, frozen=True, tag=SampleKind.PLAIN_TEXT.value):
    """A text to go on writing like."""

    text: str


class Completion(Struct, frozen=True, tag=SampleKind.COMPLETION.value):
    """What a model is given, which may be nothing, and what it shall answer. Blanks are kept as they are."""

    prompt: str
    completion: str


class Conversation(Struct, frozen=True, tag=SampleKind.CONVERSATION.value):
    """A chat in which an assistant says at least one thing."""

    messages: tuple[Message, ...]


Sample = Labelled | PlainText | Completion | Conversation


def kind_of(sample: Sample) -> SampleKind:
    """Return the kind of a sample."""
    match sample:
        case Labelled():
            return SampleKind.LABELLED
        case PlainText():
            return SampleKind.PLAIN_TEXT
        case Completion():
            return SampleKind.COMPLETION
        case Conversation():
            return SampleKind.CONVERSATION


class DatasetLimits(Struct, frozen=True, kw_only=True):
    """What a new dataset may be; one that is stored already is read whatever the limits are now."""

    max_bytes: int = 50 * 1024 * 1024
    max_rows: int = 100_000
    """Rows that hold something; empty ones do not count."""


class FindingCode(StrEnum):
    """The closed set of what can be found in a dataset."""

    # errors of the whole: reading stops
    EMPTY_FILE = "empty_file"
    FOREIGN_FILE = "foreign_file"
    """A spreadsheet, an archive or another file that is no text."""
    UNKNOWN_FORMAT = "unknown_format"
    FORMAT_MISMATCH = "format_mismatch"
    """The name says one format, the content another."""
    NOT_UTF8 = "not_utf8"
    NOT_TEXT = "not_text"
    TOO_LARGE = "too_large"
    TOO_MANY_ROWS = "too_many_rows"
    ROW_TOO_LONG = "row_too_long"
    NO_HEADER = "no_header"
    MISSING_COLUMN = "missing_column"
    AMBIGUOUS_COLUMNS = "ambiguous_columns"
    UNTERMINATED_QUOTE = "unterminated_quote"
    # errors of rows: reading goes on, to find them all
    BAD_QUOTES = "bad_quotes"
    WRONG_FIELD_COUNT = "wrong_field_count"
    MISSING_LABEL = "missing_label"
    INVALID_JSON = "invalid_json"
    WRONG_FIELD = "wrong_field"
    MIXED_KINDS = "mixed_kinds"
    NO_ANSWER = "no_answer"
    """A prompt without a completion, or a conversation in which no assistant speaks."""
    TOO_MANY_LABELS = "too_many_labels"
    LABEL_TOO_LONG = "label_too_long"
    NO_SAMPLES = "no_samples"
    # why rows were dropped
    EMPTY_ROW = "empty_row"
    NO_TEXT = "no_text"
    """A label without a text."""
    # warnings
    LABELS_DIFFER_BY_CASE = "labels_differ_by_case"
    DUPLICATE_ROWS = "duplicate_rows"
    CONTRADICTING_ROWS = "contradicting_rows"
    """The same text with other labels."""
    DUPLICATES_UNCHECKED = "duplicates_unchecked"
    LONG_ROWS = "long_rows"
    IMBALANCED_LABELS = "imbalanced_labels"
    ONE_LABEL = "one_label"
    FEW_ROWS = "few_rows"
    RARE_LABELS = "rare_labels"
    REPEATED_LABELS = "repeated_labels"
    LABELS_WITH_COMMAS = "labels_with_commas"
    """In a column named `label`, which holds one label a row."""
    LONG_LABELS = "long_labels"
    MISSING_FIELDS = "missing_fields"
    """Rows that end before optional columns of the header."""
    DAMAGED_CHARACTERS = "damaged_characters"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was found, in one row or in many."""

    code: FindingCode
    message: str
    """One sentence: what it is, where, and what to do."""
    count: int = 1
    """How many rows, or labels where it is about labels."""
    rows: tuple[int, ...] = ()
    """The numbers of the first of them."""
    line: int | None = None
    """Of what stops reading: the line of the file, from 1."""
    byte_offset: int | None = None
    """Of what is no UTF-8: the place of the byte, from 0."""


class LabelCount(Struct, frozen=True):
    """A label, and how many samples have it."""

    label: str
    count: int


class DatasetReport(Struct, frozen=True, kw_only=True):
    """What validation found. A dataset with errors is refused."""

    format: DatasetFormat | None
    """None where it could not be told."""
    kind: SampleKind | None
    """None where there is no sample."""
    size_bytes: int
    """As far as it was read."""
    rows: int
    """Without the header; empty ones count."""
    samples: int
    characters: int
    """Of all samples together: what a model reads or writes."""
    longest_characters: int
    """Of the longest sample."""
    labels: tuple[LabelCount, ...] = ()
    """The most frequent first."""
    is_multi_label: bool = False
    """Whether any sample has several labels."""
    ignored_columns: tuple[str, ...] = ()
    """The first columns, or fields of JSON, that training does not look at; long names are cut."""
    dropped: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    errors: tuple[Finding, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether there is no error."""
        return not self.errors


class Dataset(Struct, frozen=True, kw_only=True):
    """A stored dataset."""

    id: str
    """The same for the same content in the same format."""
    name: str
    """Of the file with which it came first; empty where it had none."""
    sha256: str
    """Of the content, byte by byte."""
    format: DatasetFormat
    size_bytes: int
    added_at: int
    """Seconds since 1970."""
    report: DatasetReport
