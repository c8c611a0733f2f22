"""Markdown as lines for a terminal, by rich; changed where a chat wants something else.

HTML stays readable text, single line ends are kept (poems, addresses), code is as wide as it is so that it can be
copied, headings stand on the left, and addresses are shown instead of hidden behind their text.
"""

import io
import itertools
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import (
    CodeBlock,
    Heading,
    ListElement,
    ListItem,
    Markdown,
    MarkdownElement,
)
from rich.syntax import Syntax

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
_FEWEST_NUMBERS = 10
"""Lists are indented as if they had so many items at least: they do not move when the tenth one comes."""


class _Heading(Heading):
    LEVEL_ALIGN: ClassVar = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class _CodeBlock(CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = self.text.plain.rstrip("\n")
        yield Syntax(
            code, self.lexer_name, theme="ansi_dark", background_color="default", word_wrap=True, padding=0
        )


class _ListElement(ListElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.list_type == "bullet_list_open":
            yield from super().__rich_console__(console, options)
            return
        begin = 1 if self.list_start is None else self.list_start
        last = max(begin + len(self.items), _FEWEST_NUMBERS)
        for number, item in enumerate(self.items, begin):
            yield from item.render_number(console, options, number, last)


class ChatMarkdown(Markdown):
    """Rich's Markdown with the changes above."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
        "bullet_list_open": _ListElement,
        "ordered_list_open": _ListElement,
        "list_item_open": ListItem,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", hyperlinks=False)
        self.markup = text
        self.parsed = _parse(text)

    @property
    def is_code(self) -> bool:
        """Whether it is a block of code and nothing else."""
        return len(self.parsed) == 1 and self.parsed[0].type in {"fence", "code_block"}


def blocks_of(text: str) -> list[str]:
    """Return the paragraphs, lists, tables and code blocks, as they are written; together they are the text.

    All but the last one are final, whatever text comes after it.
    """
    lines = list(io.StringIO(text, newline="\n"))  # as the parser counts them: by no other line end
    begins = [token.map[0] for token in _PARSER.parse(text) if token.level == 0 and token.map is not None]
    bounds = [0, *dict.fromkeys(begins[1:]), len(lines)]
    return ["".join(lines[begin:end]) for begin, end in itertools.pairwise(bounds)] if text else []


def _parse(text: str) -> list[Token]:
    tokens = _PARSER.parse(text)
    for token in tokens:
        # An address in angle brackets is its own text, which rich would show twice.
        token.children = [each for each in token.children or () if each.markup != "autolink"]
        for child in token.children:
            if child.type == "softbreak":
                child.type = "hardbreak"
            elif child.type == "image":
                _make_text(child)
    return tokens


def _make_text(image: Token) -> None:
    """Show what an image shows, and where it is; nothing is fetched."""
    image.content = f"[{image.content or 'image'}] ({image.attrs.get('src', '')})"
    image.type, image.tag, image.children = "text", "", None
