"""An answer on the screen while it grows: the reasoning dimmed, then the text, and at the end the figures."""

import shutil
import time
from collections.abc import Callable
from typing import IO, Protocol

from puna.terminal.markdown import blocks_of
from puna.terminal.painter import Line, Painter
from puna.terminal.rendering import Renderer
from puna.terminal.safe_text import to_safe_text

FRAME_S = 0.06
_SHARE = 0.25
"""Of the time that may go into drawing; long code blocks are drawn less often."""
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def terminal_size() -> tuple[int, int]:
    """Return columns and rows of the terminal now."""
    size = shutil.get_terminal_size()
    return size.columns, size.lines


class AnswerView(Protocol):
    """Where an answer goes. All methods are called from one thread."""

    def wait(self, note: str) -> None:
        """Say what is being waited for, before anything came."""
        ...

    def think(self, text: str) -> None:
        """Take more of the reasoning."""
        ...

    def say(self, text: str) -> None:
        """Take more of the answer."""
        ...

    def draw(self) -> None:
        """Show what came, if it is time."""
        ...

    def end(self) -> None:
        """Show all that came, and go to a new line."""
        ...


class LiveView:
    """Draws the text anew as it grows: what cannot change any more is left alone."""

    def __init__(
        self,
        out: IO[str],
        renderer: Renderer,
        *,
        renders: bool = True,
        clock: Callable[[], float] = time.monotonic,
        size: Callable[[], tuple[int, int]] = terminal_size,
    ) -> None:
        """`renders` is whether the answer is Markdown; `size` gives columns and rows."""
        self._out = out
        self._renderer = renderer
        self._renders = renders
        self._clock = clock
        self._size = size
        self._painter = Painter()
        self._text = ""
        """What may still change."""
        self._is_thought = False
        self._has_begun = False
        self._is_stale = False
        self._next_draw_s = 0.0

    def wait(self, note: str) -> None:
        """Show a line that the first words of the answer replace."""
        if not self._has_begun:
            width, height = self._width_and_height()
            lines = self._renderer.note(to_safe_text(note), width)
            self._write(self._painter.frame(lines, width + 1, height))

    def think(self, text: str) -> None:
        """Take more of the reasoning."""
        self._take(text, is_thought=True)

    def say(self, text: str) -> None:
        """Take more of the answer."""
        self._take(text, is_thought=False)

    def draw(self) -> None:
        """Show what came, some times a second."""
        if self._is_stale and self._clock() >= self._next_draw_s:
            self._draw()

    def end(self) -> None:
        """Show all that came, and go to a new line. Where nothing came, nothing stays."""
        if self._is_stale:
            self._draw()
        if self._has_begun:
            self._write(self._painter.end())
        else:
            width, height = self._width_and_height()
            self._write(self._painter.clear(width + 1, height))

    def _take(self, text: str, *, is_thought: bool) -> None:
        if self._has_begun and is_thought is not self._is_thought and self._text.strip():
            self._draw()
            self._write(self._painter.end() + "\n")
            self._text = ""
        self._is_thought, self._has_begun, self._is_stale = is_thought, True, True
        more = to_safe_text(text)
        # Models begin with line ends, which would be empty lines here.
        self._text = self._text + more if self._text else more.lstrip("\n")

    def _draw(self) -> None:
        began = self._clock()
        width, height = self._width_and_height()
        settled, lines = self._lines(width)
        self._write(self._painter.frame(lines, width + 1, height))
        self._painter.settle(settled)
        self._is_stale = False
        took_s = self._clock() - began
        self._next_draw_s = began + max(FRAME_S, took_s / _SHARE)

    def _lines(self, width: int) -> tuple[int, list[Line]]:
        """Return the lines of what may change, after those of what became final, and how many the latter are."""
        begin = self._begin_of_open_part()
        final, self._text = self._text[:begin], self._text[begin:]
        before = self._render(final.removesuffix("\n"), width) if final else []
        if before and self._is_rendered:
            before.append(Line("", 0))
        return len(before), before + (self._render(self._text.rstrip(), width) or [Line("", 0)])

    @property
    def _is_rendered(self) -> bool:
        return self._renders and not self._is_thought

    def _begin_of_open_part(self) -> int:
        if self._is_rendered:
            return len(self._text) - len((blocks_of(self._text) or [""])[-1])
        return self._text.rstrip().rfind("\n") + 1

    def _render(self, text: str, width: int) -> list[Line]:
        if self._is_thought:
            return self._renderer.thought(text, width)
        return self._renderer.markdown(text, width) if self._renders else self._renderer.plain(text, width)

    def _width_and_height(self) -> tuple[int, int]:
        """One column stays free: a cursor that hangs behind the last one is where terminals disagree."""
        columns, rows = self._size()
        return max(10, columns - 1), max(2, rows)

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()


class PlainView:
    """Writes the text as it comes and nothing over it: for pipes, files and terminals that can do no more."""

    def __init__(
        self, out: IO[str], *, is_terminal: bool, shows_thoughts: bool, has_colours: bool = False
    ) -> None:
        """To a file or a pipe the text goes as the model wrote it."""
        self._out = out
        self._is_terminal = is_terminal
        self._shows_thoughts = shows_thoughts
        self._has_colours = has_colours
        self._is_thinking = False
        self._last = "\n"

    def wait(self, note: str) -> None:
        """Say nothing: it could not be taken back."""

    def think(self, text: str) -> None:
        """Write more of the reasoning, where it is wanted."""
        if not self._shows_thoughts:
            return
        if not self._is_thinking:
            self._is_thinking = True
            self._colour(_DIM)
        self._write(text)

    def say(self, text: str) -> None:
        """Write more of the answer."""
        if self._is_thinking:
            self._is_thinking = False
            self._colour(_RESET)
            self._write("\n\n")
        self._write(text)

    def draw(self) -> None:
        """Do nothing: everything is written at once."""

    def end(self) -> None:
        """Go to a new line, unless the answer did."""
        if self._is_thinking:
            self._colour(_RESET)
        self._is_thinking = False
        if self._last != "\n":
            self._write("\n")
        self._out.flush()

    def _colour(self, code: str) -> None:
        self._out.write(code if self._has_colours else "")

    def _write(self, text: str) -> None:
        if not text:
            return
        self._out.write(to_safe_text(text) if self._is_terminal else text)
        self._out.flush()
        self._last = text[-1]
