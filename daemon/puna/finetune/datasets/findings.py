"""What was found in rows, counted: memory does not grow with the number of rows."""

from dataclasses import dataclass, field

from puna.domain.datasets import Finding, FindingCode
from puna.finetune.datasets.wording import describe_rows_finding

MAX_ROWS_TOLD = 10

DROPS = frozenset({FindingCode.EMPTY_ROW, FindingCode.NO_TEXT})
WARNINGS = frozenset(
    {
        FindingCode.DUPLICATE_ROWS,
        FindingCode.CONTRADICTING_ROWS,
        FindingCode.DUPLICATES_UNCHECKED,
        FindingCode.LONG_ROWS,
        FindingCode.REPEATED_LABELS,
        FindingCode.LABELS_WITH_COMMAS,
        FindingCode.LONG_LABELS,
        FindingCode.MISSING_FIELDS,
        FindingCode.DAMAGED_CHARACTERS,
    }
)


@dataclass
class _Entry:
    count: int = 0
    rows: list[int] = field(default_factory=list)
    detail: str = ""


class Findings:
    """All that was found, by code, in the order in which it was first found."""

    def __init__(self) -> None:
        self._entries: dict[FindingCode, _Entry] = {}

    def note(self, code: FindingCode, row: int, detail: str = "") -> None:
        """Take note of one row; the detail of the first one is told."""
        entry = self._entries.setdefault(code, _Entry(detail=detail))
        entry.count += 1
        if len(entry.rows) < MAX_ROWS_TOLD:
            entry.rows.append(row)

    def drops(self) -> tuple[Finding, ...]:
        """Return why rows were dropped."""
        return tuple(self._tell(code) for code in self._entries if code in DROPS)

    def warnings(self) -> tuple[Finding, ...]:
        """Return what should be looked at."""
        return tuple(self._tell(code) for code in self._entries if code in WARNINGS)

    def errors(self) -> tuple[Finding, ...]:
        """Return what must be mended."""
        return tuple(self._tell(code) for code in self._entries if code not in DROPS | WARNINGS)

    def _tell(self, code: FindingCode) -> Finding:
        entry = self._entries[code]
        rows = tuple(entry.rows)
        message = describe_rows_finding(code, entry.count, rows, entry.detail)
        return Finding(code=code, message=message, count=entry.count, rows=rows)
