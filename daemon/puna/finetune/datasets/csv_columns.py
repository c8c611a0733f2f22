"""The header of a CSV: which column holds what."""

from collections.abc import Sequence
from typing import NamedTuple

from puna.domain.datasets import FindingCode
from puna.finetune.datasets.failures import UnreadableDatasetError
from puna.finetune.datasets.parsed import MAX_IGNORED
from puna.finetune.datasets.wording import show_text

TEXT = "text"
LABEL = "label"
LABELS = "labels"
_KNOWN = frozenset({TEXT, LABEL, LABELS})
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SHOWN_CHARACTERS = 60


class Columns(NamedTuple):
    """Places of the columns, from 0."""

    width: int
    text: int
    labels: int
    has_several: bool
    """Whether the column is named `labels`, so that a comma divides them."""
    ignored: tuple[str, ...]

    @property
    def takes_surplus(self) -> bool:
        """Whether fields beyond the header are labels too: only behind `labels` they can be nothing else."""
        return self.has_several and self.labels == self.width - 1


def is_header(fields: Sequence[str]) -> bool:
    """Return whether a row names the columns that a dataset needs."""
    names = set(_normalise(fields))
    return TEXT in names and bool(names & {LABEL, LABELS})


def find_columns(fields: Sequence[str], row: int) -> Columns:
    """Return what the header says. Raises `UnreadableDatasetError` when it does not say it, or twice."""
    names = _normalise(fields)
    _check_known(names, fields, row)
    texts = [place for place, name in enumerate(names) if name == TEXT]
    labels = [place for place, name in enumerate(names) if name in {LABEL, LABELS}]
    if len(texts) > 1 or len(labels) > 1:
        double = TEXT if len(texts) > 1 else f"{LABEL} or {LABELS}"
        raise UnreadableDatasetError(
            FindingCode.AMBIGUOUS_COLUMNS,
            f"The header names {double} more than once; keep one such column, and rename the others.",
            row=row,
        )
    if not texts or not labels:
        raise _missing(TEXT if not texts else f"{LABEL}, or {LABELS}", fields, row)
    ignored = [name.strip() for name in fields if name.strip() and name.strip().lower() not in _KNOWN]
    return Columns(
        width=len(names),
        text=texts[0],
        labels=labels[0],
        has_several=names[labels[0]] == LABELS,
        ignored=tuple(ignored[:MAX_IGNORED]),
    )


def _normalise(fields: Sequence[str]) -> list[str]:
    """Return the names to compare; columns without a name at the end are what spreadsheets leave."""
    names = [field.strip().lower() for field in fields]
    while names and not names[-1]:
        names.pop()
    return names


def check_separator(fields: Sequence[str], row: int) -> None:
    """Raise `UnreadableDatasetError` for a header of one field that is a good one with another separator."""
    for separator, plural in _OTHER_SEPARATORS.items():
        if len(fields) == 1 and is_header(fields[0].replace('"', "").split(separator)):
            raise UnreadableDatasetError(
                FindingCode.MISSING_COLUMN,
                f"The columns are separated by {plural}; save the file with commas between them.",
                row=row,
            )


def _check_known(names: Sequence[str], fields: Sequence[str], row: int) -> None:
    if _KNOWN & set(names):
        return
    check_separator(fields, row)
    raise UnreadableDatasetError(
        FindingCode.NO_HEADER,
        f"The first row must name the columns, such as `{TEXT},{LABEL}`, and is {_show(fields)}; add a header.",
        row=row,
    )


def _missing(what: str, fields: Sequence[str], row: int) -> UnreadableDatasetError:
    return UnreadableDatasetError(
        FindingCode.MISSING_COLUMN,
        f"The header has no column {what}: it is {_show(fields)}; name the columns `{TEXT}` and `{LABEL}`.",
        row=row,
    )


def _show(fields: Sequence[str]) -> str:
    return f"`{show_text(','.join(fields), _SHOWN_CHARACTERS)}`"
