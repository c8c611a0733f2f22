"""Figures and tables as commands print them."""

import sys
from collections.abc import Sequence
from datetime import datetime


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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table without lines; to a file or a pipe it is wide, so that nothing is cut."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False).print(table)
