"""Whether a stream is a screen on which a line can be written anew, and a line that says what is waited for."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from puna.terminal.safe_text import to_safe_text

_WITHOUT_CURSOR = frozenset({"dumb", "unknown"})


def can_redraw(stream: TextIO) -> bool:
    """Return whether it is a terminal that can do so; logs, pipes and `TERM=dumb` cannot."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in _WITHOUT_CURSOR


@contextmanager
def waiting(note: str) -> Iterator[None]:
    """Show a note on standard error while something is waited for, where it can be taken away again."""
    if not can_redraw(sys.stderr):
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(to_safe_text(note))):
        yield
