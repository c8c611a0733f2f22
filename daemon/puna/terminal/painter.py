"""The foot of the screen that still changes, as escape sequences. Pure: it knows what it wrote and nothing else."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """A line as it is written; one that is longer than the screen is wide is wrapped by the terminal."""

    text: str
    """With colours; these end with the line."""
    cells: int
    """Columns that it takes."""


class Painter:
    """Turns frames into what must be written to show them over the frame before.

    Only lines that differ are written, over what stands there and in one piece, so nothing flickers. What has
    scrolled off the top of the screen stays as it was. The cursor waits at the end of the last line.
    """

    def __init__(self) -> None:
        self._shown: list[Line] = []

    def frame(self, lines: Sequence[Line], width: int, height: int) -> str:
        """Return what shows these lines, on a screen of this size now; it may have been another one before."""
        new = list(lines) or [Line("", 0)]
        if not self._shown:
            self._shown = new
            return "\n".join(line.text for line in new)
        if new == self._shown:
            return ""
        first, up = self._first_to_write(new, width, height)
        before, self._shown = self._shown, new
        if first >= len(before):
            return "".join(f"\n{line.text}" for line in new[first:])
        move = f"\x1b[{up}A\r" if up else "\r"
        # Only what takes fewer rows than before leaves something below it.
        is_shorter = _height(new[first:], width) < _height(before[first:], width)
        return move + ("\x1b[J" if is_shorter else "") + "\n".join(_over(line, width) for line in new[first:])

    def settle(self, count: int) -> None:
        """Forget the first lines of the frame: they stay as they are, and later frames begin below them."""
        self._shown = self._shown[count:]

    def end(self) -> str:
        """Return what leaves the frame where it is and goes on below it."""
        is_open, self._shown = bool(self._shown), []
        return "\n" if is_open else ""

    def clear(self, width: int, height: int) -> str:
        """Return what removes the frame, as far as it is on the screen, with the cursor where it began."""
        up = min(_height(self._shown, width), height) - 1
        is_open, self._shown = bool(self._shown), []
        move = f"\x1b[{up}A\r" if up > 0 else "\r"
        return f"{move}\x1b[J" if is_open else ""

    def _first_to_write(self, new: Sequence[Line], width: int, height: int) -> tuple[int, int]:
        """Return the first line to write, and how many rows above the cursor it begins."""
        first = _common(self._shown, new)
        if first == len(new):
            first -= 1
        up = _height(self._shown[first:], width) - 1
        while up >= height and first < len(self._shown) - 1:
            up -= _rows(self._shown[first], width)
            first += 1
        return min(first, len(new) - 1) if up >= 0 else first, max(0, up)


def _common(old: Sequence[Line], new: Sequence[Line]) -> int:
    """Return how many lines both begin with."""
    for index, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return index
    return min(len(old), len(new))


def _over(line: Line, width: int) -> str:
    """Return a line that also removes what stands behind its end.

    Behind a full row the cursor still stands on the last column, and would remove that.
    """
    is_full = line.cells and not line.cells % width
    return line.text if is_full else f"{line.text}\x1b[K"


def _height(lines: Sequence[Line], width: int) -> int:
    return sum(_rows(line, width) for line in lines)


def _rows(line: Line, width: int) -> int:
    """Return how many rows a line takes on a screen of this width."""
    return max(1, math.ceil(line.cells / max(1, width)))
