"""Figures and tables as commands print them."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import wrap

from puna.cli.outcome import say
from puna.terminal.safe_text import to_safe_text

_ENDLESS = 1_000_000
_NARROWEST = 20
"""Columns of a terminal in which a text can be wrapped."""
_NOTHING = ("", "-")
"""Cells that say nothing."""


def show_size(size_bytes: int) -> str:
    """Return a size in decimal units, as downloads and disks are sold: `4.9 GB`; a dash for none."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes} B" if size_bytes else "-"


def show_count(count: int) -> str:
    """Return a count in its largest unit: `1.2B`, `350k`; a dash for none."""
    for unit, scale in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f}".removesuffix(".0") + unit
    return str(count) if count else "-"


def show_time(seconds: float) -> str:
    """Return a moment since 1970 in this place's time; a dash for none."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M") if seconds else "-"


def in_columns(facts: Iterable[tuple[str, str]]) -> list[str]:
    """Return facts as lines, without those that say nothing."""
    return [f"{name:14} {_one_line(value)}" for name, value in facts if value]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table without lines. Nothing is cut, so names can be copied, and scripts find every word."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table_lines(columns, rows, width):
        say(line)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table.

    Where it is wider than the terminal, its last column is wrapped, or each row is a paragraph.
    """
    cells = [[_one_line(cell) for cell in row] for row in rows]
    table = [columns, *cells]
    *widths, last = [max(map(width_of, column)) for column in zip(*table, strict=True)]
    room = _ENDLESS if width is None else width - sum(widths) - 2 * len(widths)
    if width is None or room >= min(last, _NARROWEST):
        return [line for row in table for line in _row(row, widths, room)]
    return [line for row in cells for line in _paragraph(columns, row, width)]


def _row(cells: Sequence[str], widths: Sequence[int], room: int) -> list[str]:
    """Return a row; `room` is the width of the last column."""
    before = "".join(f"{padded(cell, width)}  " for cell, width in zip(cells[:-1], widths, strict=True))
    first, *others = _wrapped(cells[-1], room) or [""]
    return [(before + first).rstrip(), *(" " * width_of(before) + line for line in others)]


def padded(cell: str, width: int) -> str:
    """Return a text with blanks behind it, so many columns of a terminal wide."""
    return cell + " " * (width - width_of(cell))


def _paragraph(columns: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """Return the first cell, and below it the others with what they are."""
    facts = (
        f"{column} {cell}".lstrip()
        for column, cell in zip(columns[1:], row[1:], strict=True)
        if cell not in _NOTHING
    )
    return [row[0], *(f"  {line}" for line in _wrapped(", ".join(facts), max(width - 2, 1)))]


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def _one_line(text: str) -> str:
    return to_safe_text(text).replace("\n", " ").replace("\t", " ")
