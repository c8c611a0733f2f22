"""Where the chat writes besides answers: sentences, lists and complaints, on this terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from puna.terminal.answer_view import AnswerView, LiveView, PlainView
from puna.terminal.options import ChatOptions
from puna.terminal.rendering import Renderer
from puna.terminal.safe_text import to_safe_text


class Screen:
    """The terminal of a chat."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False)
        self._renderer = Renderer(self._console)

    def view(self, options: ChatOptions) -> AnswerView:
        """Return where the next answer goes."""
        if self._console.is_dumb_terminal or self._console.legacy_windows or not self._console.is_terminal:
            return PlainView(self._console.file, is_terminal=True, shows_thoughts=options.show_thinking)
        view = LiveView(self._console.file, self._renderer, renders=options.markdown)
        return view if options.show_thinking else _WithoutThoughts(view)

    def say(self, sentence: str) -> None:
        """Print a sentence of Puna's own."""
        self._console.print(Text(to_safe_text(sentence)))

    def note(self, sentence: str) -> None:
        """Print something of less weight."""
        self._console.print(Text(to_safe_text(sentence), style="dim"))

    def complain(self, sentence: str) -> None:
        """Print what went wrong."""
        self._console.print(Text(to_safe_text(sentence), style="red"))

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Print lines in columns."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        for row in rows:
            table.add_row(*(Text(to_safe_text(cell)) for cell in row))
        self._console.print(table)

    def space(self) -> None:
        """Leave a line."""
        self._console.print()


class _WithoutThoughts:
    """Shows that the model thinks, and not what."""

    def __init__(self, view: AnswerView) -> None:
        self._view = view

    def wait(self, note: str) -> None:
        """Pass on what is waited for."""
        self._view.wait(note)

    def think(self, text: str) -> None:
        """Say that it thinks."""
        if text:
            self._view.wait("thinking ...")

    def say(self, text: str) -> None:
        """Pass on more of the answer."""
        self._view.say(text)

    def draw(self) -> None:
        """Have it drawn."""
        self._view.draw()

    def end(self) -> None:
        """Have it ended."""
        self._view.end()
