"""Which format a dataset has: its content and its name must not contradict each other."""

from pathlib import PurePosixPath

from puna.domain.datasets import DatasetFormat, FindingCode
from puna.finetune.datasets.csv_columns import is_header
from puna.finetune.datasets.csv_records import read_records
from puna.finetune.datasets.failures import UnreadableDatasetError
from puna.finetune.datasets.foreign import refuse_foreign
from puna.finetune.datasets.jsonl_objects import KNOWN_FIELDS, UnusableRowError, decode_object
from puna.finetune.datasets.lines import Line
from puna.finetune.datasets.wording import show_text

_BY_SUFFIX = {
    ".csv": DatasetFormat.CSV,
    ".jsonl": DatasetFormat.JSONL,
    ".ndjson": DatasetFormat.JSONL,
    ".json": DatasetFormat.JSONL,
    ".txt": DatasetFormat.TEXT,
    ".text": DatasetFormat.TEXT,
    ".md": DatasetFormat.TEXT,
}
_DESCRIPTIONS = {
    DatasetFormat.CSV: "a CSV with a header",
    DatasetFormat.JSONL: "JSON objects",
    DatasetFormat.TEXT: "plain text",
}
_NAMES = {DatasetFormat.CSV: ".csv", DatasetFormat.JSONL: ".jsonl", DatasetFormat.TEXT: ".txt"}


def detect_format(head: bytes, name: str, stated: DatasetFormat | None = None) -> DatasetFormat:
    """Return the format of a file that begins with `head`.

    `name` is that of the file, or empty; `stated` is what somebody says the format is, and wins over the name.
    Raises `UnreadableDatasetError` for what is no text, and where the format is not clear.
    """
    refuse_foreign(head, name)
    first = _first_line(head)
    if not first:
        raise UnreadableDatasetError(FindingCode.EMPTY_FILE, "The file holds nothing; add some samples.")
    if stated:
        return stated
    named = _BY_SUFFIX.get(PurePosixPath(name.lower()).suffix)
    seen = _look_at(first)
    if named is DatasetFormat.JSONL:
        _check_objects(first)
    elif named and seen and named is not seen:
        raise UnreadableDatasetError(
            FindingCode.FORMAT_MISMATCH,
            f"The file is named {show_text(name[-40:], 40)} but holds {_DESCRIPTIONS[seen]}; "
            f"name it {_NAMES[seen]}, or state its format.",
        )
    found = named or seen
    if found is None:
        raise UnreadableDatasetError(
            FindingCode.UNKNOWN_FORMAT,
            "The format is not clear: name the file .csv, .jsonl or .txt, or state its format.",
        )
    return found


def _first_line(head: bytes) -> str:
    text = head.decode("utf-8-sig", errors="replace")
    return next((line for line in text.replace("\r", "\n").split("\n") if line.strip()), "")


def _look_at(first: str) -> DatasetFormat | None:
    """Return what the first line with something on it can only be."""
    if _is_object(first):
        return DatasetFormat.JSONL
    if is_header(_fields(first)):
        return DatasetFormat.CSV
    return None


def _is_object(line: str) -> bool:
    try:
        return bool(KNOWN_FIELDS & decode_object(line).keys())
    except UnusableRowError:
        return False


def _fields(line: str) -> list[str]:
    try:
        return next(read_records(iter([Line(1, line)]))).fields
    except UnreadableDatasetError:
        return []


def _check_objects(first: str) -> None:
    line = first.strip()
    if line.startswith("{") and line != "{":
        return
    if line == "{":
        what = "the first line is only the beginning of one"
    else:
        what = "the file begins with an array" if line.startswith("[") else "the first line is something else"
    raise UnreadableDatasetError(
        FindingCode.FORMAT_MISMATCH,
        f"JSONL has a whole JSON object on each line, and {what}; write one sample a line.",
        row=1,
    )
