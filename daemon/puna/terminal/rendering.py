"""Text and Markdown as coloured lines, through rich, for one width at a time."""

import io
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import COLOR_SYSTEMS, Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from puna.terminal.markdown import ChatMarkdown, blocks_of
from puna.terminal.painter import Line

_THOUGHT = Style(dim=True, italic=True)
_NOTE = Style(dim=True)
_ENDLESS = 100_000
_WRAPPED_ROWS = 4
"""Rows of a line of code that the terminal may wrap; longer ones could scroll away while they still change."""
_THEME = Theme(
    {
        "markdown.code": "cyan",  # rich's own has a black background, which is a stain on a light terminal
        "markdown.h1": "bold underline",
        "markdown.h2": "bold underline",
        "markdown.h3": "bold",
        "markdown.h4": "bold",
        "markdown.h5": "bold",
        "markdown.h6": "bold",
        "markdown.block_quote": "italic",
        "markdown.item.number": "bold",
        "markdown.link": "none",
        "markdown.link_url": "underline",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)


class Renderer:
    """Makes lines for a terminal. Blocks for as long as the text is long: some milliseconds for some pages."""

    def __init__(self, terminal: Console) -> None:
        """`terminal` tells which colours are there; nothing is written to it."""
        self._colours = COLOR_SYSTEMS[terminal.color_system] if terminal.color_system else None
        self._console = Console(file=io.StringIO(), force_terminal=True, legacy_windows=False, theme=_THEME)

    def markdown(self, text: str, width: int) -> list[Line]:
        """Return an answer: its blocks, with an empty line between them."""
        blocks = [self._block(ChatMarkdown(block), width) for block in blocks_of(text)]
        return list(joined([block for block in blocks if block]))

    def _block(self, block: ChatMarkdown, width: int) -> list[Line]:
        """Leave wrapping the lines of code to the terminal, so that a copy of them is whole.

        How many rows that makes is known of characters of one cell each: before a wide one a row may end early.
        """
        if block.is_code:
            lines = self._render(block, _ENDLESS)
            longest = max((line.cells for line in lines), default=0)
            if longest <= width or (longest <= _WRAPPED_ROWS * width and _has_equal_cells(block.markup)):
                return lines
        return self._render(block, width)

    def plain(self, text: str, width: int) -> list[Line]:
        """Return an answer that is not rendered, only wrapped."""
        return self._wrapped(text, Style.null(), width)

    def thought(self, text: str, width: int) -> list[Line]:
        """Return what the model thinks."""
        return self._wrapped(text, _THOUGHT, width)

    def note(self, text: str, width: int) -> list[Line]:
        """Return what Puna itself says."""
        return self._wrapped(text, _NOTE, width)

    def _wrapped(self, text: str, style: Style, width: int) -> list[Line]:
        """Wrap line by line, so that empty ones stay."""
        return [
            line
            for part in text.split("\n")
            for line in self._render(Text(part, style=style), width) or [Line("", 0)]
        ]

    def _render(self, renderable: RenderableType, width: int) -> list[Line]:
        options = self._console.options.update(width=max(1, width), height=None)
        rendered = self._console.render_lines(renderable, options, pad=False)
        lines = [self._line(_without_trailing_space(segments)) for segments in rendered]
        filled = [number for number, line in enumerate(lines) if line.cells]
        return lines[filled[0] : filled[-1] + 1] if filled else []

    def _line(self, segments: Iterable[Segment]) -> Line:
        kept = [segment for segment in segments if not segment.control]
        text = "".join(
            (segment.style or Style.null()).render(segment.text, color_system=self._colours)
            for segment in kept
        )
        return Line(text, sum(segment.cell_length for segment in kept))


def _has_equal_cells(text: str) -> bool:
    """Return whether each character takes one column of a terminal."""
    return text.isascii() or all(mark.isspace() or cell_len(mark) == 1 for mark in text)


def joined(blocks: Iterable[list[Line]]) -> Iterator[Line]:
    """Yield the lines of all blocks, with an empty line between them."""
    for number, block in enumerate(blocks):
        if number:
            yield Line("", 0)
        yield from block


def _without_trailing_space(segments: Iterable[Segment]) -> list[Segment]:
    kept = list(segments)
    while kept:
        text, style, control = kept.pop()
        shortened = text.rstrip(" ")
        if shortened:
            kept.append(Segment(shortened, style, control))
            break
    return kept
