"""What an answer looks like on a terminal while it grows and when it is done."""

import io
import random
import time

import pyte
import pytest
from rich.console import Console

from puna.terminal.answer_view import LiveView, PlainView
from puna.terminal.markdown import blocks_of
from puna.terminal.painter import Line, Painter
from puna.terminal.rendering import Renderer
from puna.terminal.safe_text import to_safe_text

ANSWER = """\
# A heading

First paragraph, which is **long enough** to be wrapped on a narrow terminal, with `code` and *slant*.
A line of its own.

- one
- two
    - deeper
1. first
2. second

```python
def hello(name: str) -> None:
    print(f"hello {name}")

    return None
```

> quoted

| a | b |
|---|---|
| 1 | 2 |

Last words, with [a link](https://example.org/x) and <b>html</b> in List<int>.
"""


class Terminal(io.StringIO):
    """A screen of a given size that keeps what scrolls away."""

    def __init__(self, columns: int = 60, rows: int = 15) -> None:
        super().__init__()
        self.size = (columns, rows)
        self.screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=0.5)
        self._stream = pyte.Stream(self.screen)
        self.writes: list[str] = []
        self.now_s = 0.0

    def write(self, text: str) -> int:
        self.writes.append(text)
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    @property
    def lines(self) -> list[str]:
        above = [
            "".join(line[column].data for column in range(len(line))) for line in self.screen.history.top
        ]
        return [line.rstrip() for line in [*above, *self.screen.display]]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()


def renderer(colours: str | None = None) -> Renderer:
    return Renderer(Console(file=io.StringIO(), force_terminal=True, color_system=colours))  # type: ignore[arg-type]


def view_on(terminal: Terminal, *, renders: bool = True, colours: str | None = None) -> LiveView:
    return LiveView(
        terminal, renderer(colours), renders=renders, clock=lambda: terminal.now_s, size=lambda: terminal.size
    )


def draw(terminal: Terminal, view: LiveView) -> None:
    """Draw when it is time."""
    terminal.now_s += 1
    view.draw()


def whole(text: str, columns: int = 60) -> str:
    """What the text looks like when it is rendered at once."""
    return "\n".join(line.text for line in renderer().markdown(text, columns - 1)).rstrip()


def wrapped(text: str, columns: int) -> list[str]:
    """What a terminal makes of a long line."""
    return [text[begin : begin + columns] for begin in range(0, len(text), columns)] or [""]


def pieces_of(text: str, chance: random.Random) -> list[str]:
    pieces = []
    while text:
        size = chance.randint(1, 12)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@pytest.mark.parametrize(("seed", "rows"), [(1, 5), (2, 5), (3, 5), (4, 24), (5, 24), (6, 100)])
def test_an_answer_that_came_in_pieces_looks_as_if_it_came_at_once(seed: int, rows: int) -> None:
    terminal = Terminal(60, rows)
    view = view_on(terminal)
    for piece in pieces_of(ANSWER * 3, random.Random(seed)):
        view.say(piece)
        draw(terminal, view)
    view.end()
    assert terminal.text == whole(ANSWER * 3)


def test_code_longer_than_the_screen_scrolls_and_stands_there_once() -> None:
    terminal = Terminal(40, 8)
    view = view_on(terminal)
    code = "\n".join(f"line_{number} = {number}" for number in range(100))
    for line in f"```python\n{code}\n```\nDone.".splitlines(keepends=True):
        view.say(line)
        draw(terminal, view)
    view.end()
    assert terminal.text == f"{code}\n\nDone."


def test_what_is_final_is_not_written_again() -> None:
    terminal = Terminal(60, 24)
    view = view_on(terminal)
    view.say("First paragraph.\n\nSecond")
    draw(terminal, view)
    terminal.writes.clear()
    view.say(" paragraph")
    draw(terminal, view)
    assert "".join(terminal.writes) == "\rSecond paragraph\x1b[K"


def test_a_frame_is_one_write_that_erases_nothing_before_it_writes() -> None:
    terminal = Terminal(60, 24)
    view = view_on(terminal)
    for piece in pieces_of(ANSWER, random.Random(1)):
        view.say(piece)
        terminal.writes.clear()
        draw(terminal, view)
        assert len(terminal.writes) <= 1
        assert all("\x1b[2K" not in write and "\x1b[2J" not in write for write in terminal.writes)


def test_frames_are_drawn_some_times_a_second_only() -> None:
    terminal = Terminal()
    view = view_on(terminal)
    for _ in range(100):
        view.say("word ")
        view.draw()
    assert len(terminal.writes) == 1
    draw(terminal, view)
    assert len(terminal.writes) == 2


def test_reasoning_is_dimmed_and_apart_from_the_answer() -> None:
    terminal = Terminal()
    view = view_on(terminal, colours="truecolor")
    view.think("\nFirst I count.\n\nThen I")
    draw(terminal, view)
    view.think(" answer.\n")
    view.say("\n\nTwo.")
    view.end()
    assert terminal.text == "First I count.\n\nThen I answer.\n\nTwo."
    assert "\x1b[2;3mFirst I count.\x1b[0m" in "".join(terminal.writes)
    assert "\x1b[2;3mTwo" not in "".join(terminal.writes)


@pytest.mark.parametrize("seed", range(5))
def test_text_that_is_not_rendered_is_wrapped_and_keeps_its_lines(seed: int) -> None:
    text = "one\n\n\ntwo **stars**\n    indented\n" + "word " * 40 + "\n\nlast\n\n"
    terminal = Terminal(40, 6)
    view = view_on(terminal, renders=False)
    for piece in pieces_of(text, random.Random(seed)):
        view.say(piece)
        draw(terminal, view)
    view.end()
    words = "\n".join(line.text for line in renderer().plain(text.rstrip(), 39))
    assert terminal.text == words
    assert "two **stars**\n    indented" in terminal.text


def test_a_note_is_replaced_by_the_first_words() -> None:
    terminal = Terminal()
    view = view_on(terminal)
    view.wait("loading demo, 10 % ...")
    view.wait("loading demo, 90 % ...")
    assert terminal.text == "loading demo, 90 % ..."
    view.say("Hello")
    view.end()
    assert terminal.text == "Hello"


@pytest.mark.parametrize("note", ["waiting ...", "loading a-model-with-a-long-name, 90 % ... \x1b[2J" * 4])
def test_a_note_without_an_answer_leaves_nothing(note: str) -> None:
    terminal = Terminal()
    view = view_on(terminal)
    view.wait(note)
    assert terminal.text
    view.end()
    assert terminal.text == ""
    assert terminal.screen.cursor.y == 0


def test_nothing_is_lost_when_the_window_changes_while_text_comes() -> None:
    terminal = Terminal(60, 20)
    view = view_on(terminal)
    for number in range(50):
        view.say(f"word{number} ")
        draw(terminal, view)
        if number == 25:
            terminal.size = (40, 20)
            terminal.screen.resize(20, 40)
    view.end()
    assert "word49" in terminal.text
    assert all(f"word{number} " in f"{terminal.text} ".replace("\n", " ") for number in range(26, 50))


def test_html_and_single_line_ends_stay() -> None:
    assert whole("a <div> b\nroses are red\nList<int>") == "a <div> b\nroses are red\nList<int>"


def test_code_can_be_copied_as_it_is() -> None:
    assert whole("```\nx = 1\n  y = 2\n```") == "x = 1\n  y = 2"
    assert whole("text\n\n    indented = code") == "text\n\nindented = code"


@pytest.mark.parametrize("seed", range(5))
def test_long_lines_of_code_are_wrapped_by_the_terminal_only(seed: int) -> None:
    code = "\n".join(f"value_{number} = '{'x' * 13 * number}'" for number in range(8))
    terminal = Terminal(40, 10)
    view = view_on(terminal)
    for piece in pieces_of(f"Look:\n```\n{code}\n```\nDone.", random.Random(seed)):
        view.say(piece)
        draw(terminal, view)
    view.end()
    rows = [row for line in code.splitlines() for row in wrapped(line, 40)]
    assert terminal.text == "\n".join(["Look:", "", *rows, "", "Done."])
    assert whole(f"```\n{code}\n```", 40) == code


def test_code_with_wide_characters_is_wrapped_where_a_terminal_may_end_a_row_early() -> None:
    wide = renderer().markdown(f"```\n{'日本' * 30}\n```", 41)
    assert len(wide) > 1
    assert all(line.cells <= 41 for line in wide)
    for mark in ("a", "é", "ж"):
        assert [line.cells for line in renderer().markdown(f"```\n{mark * 60}\n```", 41)] == [60]
    assert [line.cells for line in renderer().markdown("```\n日本\n```", 41)] == [4]


def test_a_line_of_code_longer_than_some_rows_is_wrapped_for_good() -> None:
    terminal = Terminal(40, 5)
    view = view_on(terminal)
    for _ in range(100):
        view.say("```\n" if _ == 0 else f"{_:04d} word ")
        draw(terminal, view)
    view.end()
    assert terminal.text.count("0001 word") == 1
    assert "".join(terminal.text.split()).endswith("0099word")


def test_addresses_are_shown_and_nothing_is_hidden_behind_text() -> None:
    shown = whole("[safe](https://evil.example/) ![cat](https://example.org/cat.png)", 90)
    assert shown == "safe (https://evil.example/) [cat] (https://example.org/cat.png)"
    assert whole("see <https://example.org/>") == "see https://example.org/"
    terminal = Terminal()
    view = view_on(terminal, colours="truecolor")
    view.say("[safe](https://evil.example/)")
    view.end()
    assert "\x1b]8" not in "".join(terminal.writes)


def test_a_tenth_item_does_not_move_the_ones_before_it() -> None:
    nine = "\n".join(f"{number}. item" for number in range(1, 10))
    assert whole(f"{nine}\n10. item").startswith(whole(nine))


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        ["one"],
        ["one\n\n", "two"],
        ["one\n\n", "```\ncode\n\nmore"],
        ["- a\n\n- b\n"],
        ["- a\n\n", "# b\n"],
        ["para\r\n\r\n", "next"],
        ["\n\none\n", "- two\n"],
        ["    code\n\n", "text\n\n", "---\n", "end"],
    ],
)
def test_a_text_is_taken_apart_into_its_blocks(blocks: list[str]) -> None:
    assert blocks_of("".join(blocks)) == blocks


def test_line_ends_of_other_kinds_divide_no_block() -> None:
    code = "```\nx\n```\n"
    for end in ("\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"):
        assert blocks_of(f"a{end}b\n\n{code}end") == [f"a{end}b\n\n", code, "end"]
    assert to_safe_text("a\u2028b\u2029") == "a\nb\n"


def test_a_model_cannot_steer_the_terminal() -> None:
    evil = "\x1b]0;title\x07 \x1b[2J \x9b31m a\rb \x00 \x7f \ud800 ok\n\tend"
    safe = to_safe_text(evil)
    assert safe == "␛]0;title␇ ␛[2J \ufffd31m ab ␀ ␡ \ufffd ok\n\tend"
    for renders in (True, False):
        terminal = Terminal()
        view = view_on(terminal, renders=renders)
        view.think(evil)
        view.say(evil)
        view.end()
        assert "\x1b]" not in "".join(terminal.writes)
        assert "\x1b[2J" not in "".join(terminal.writes)
        assert terminal.screen.title == ""


def test_a_pipe_gets_the_text_as_the_model_wrote_it_and_a_line_end() -> None:
    out = io.StringIO()
    view = PlainView(out, is_terminal=False, shows_thoughts=False)
    view.wait("loading")
    view.think("hm")
    for piece in ("**a**", "\x1b[1m\n", " b"):
        view.say(piece)
        view.draw()
    view.end()
    assert out.getvalue() == "**a**\x1b[1m\n b\n"


def test_a_plain_terminal_gets_safe_text_and_the_reasoning_apart() -> None:
    out = io.StringIO()
    view = PlainView(out, is_terminal=True, shows_thoughts=True)
    view.think("hm")
    view.say("a\x1b[1m\n")
    view.end()
    assert out.getvalue() == "hm\n\na␛[1m\n"
    only_thoughts = io.StringIO()
    view = PlainView(only_thoughts, is_terminal=True, shows_thoughts=True, has_colours=True)
    view.think("hm")
    view.end()
    assert only_thoughts.getvalue() == "\x1b[2mhm\x1b[0m\n"


def lines(*texts: str) -> list[Line]:
    return [Line(text, len(text)) for text in texts]


def test_frames_write_only_what_differs() -> None:
    painter = Painter()
    assert painter.frame(lines("a", "b"), 80, 24) == "a\nb"
    assert painter.frame(lines("a", "b"), 80, 24) == ""
    assert painter.frame(lines("a", "bc"), 80, 24) == "\rbc\x1b[K"
    assert painter.frame(lines("a", "bc", "d"), 80, 24) == "\nd"
    assert painter.frame(lines("x", "bc", "d"), 80, 24) == "\x1b[2A\rx\x1b[K\nbc\x1b[K\nd\x1b[K"
    assert painter.frame(lines("x"), 80, 24) == "\x1b[2A\r\x1b[Jx\x1b[K"
    assert painter.end() == "\n"
    assert painter.end() == ""


@pytest.mark.parametrize("seed", range(20))
def test_random_frames_show_what_they_say(seed: int) -> None:
    """Lines may be as long as the screen is wide, and longer: the terminal wraps them."""
    chance = random.Random(seed)
    terminal, painter = Terminal(20, 90), Painter()
    for _ in range(40):
        count = chance.randint(1, 20)
        frame = lines(*(chance.choice("abc") * chance.randint(0, 60) for _ in range(count)))
        terminal.write(painter.frame(frame, 20, 90))
        rows = [row for line in frame for row in wrapped(line.text, 20)]
        assert terminal.text == "\n".join(rows).rstrip()
        assert terminal.screen.cursor.y == len(rows) - 1


def test_what_has_scrolled_away_is_left_alone() -> None:
    painter = Painter()
    painter.frame(lines(*(f"l{number}" for number in range(50))), 80, 10)
    changed = painter.frame(lines(*(f"L{number}" for number in range(50))), 80, 10)
    assert changed.startswith("\x1b[9A\rL40\x1b[K")


def test_lines_that_a_narrower_window_wrapped_are_counted_as_rows() -> None:
    painter = Painter()
    painter.frame(lines("a" * 30, "b"), 40, 24)
    assert painter.frame(lines("c", "b"), 20, 24).startswith("\x1b[2A\r\x1b[Jc")


def test_a_page_of_markdown_is_drawn_in_a_fraction_of_a_second() -> None:
    """The bound is a hundred times what it takes: it finds a loop that went quadratic and nothing else."""
    began = time.process_time()
    assert len(renderer().markdown(ANSWER * 10, 80)) > 150
    assert time.process_time() - began < 10
