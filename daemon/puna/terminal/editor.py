"""The line that is typed: prompt_toolkit with Puna's keys, history and completion."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from puna.terminal.history import HistoryFile
from puna.terminal.lines import is_complete
from puna.terminal.safe_text import to_utf8_text

PROMPT = ">>> "
_FURTHER = "... "


def _continuation(_width: int, _line_number: int, wraps: int) -> str:
    """Return what stands before a further line; nothing where only the terminal's edge broke one."""
    return "" if wraps else _FURTHER


class Editor(Protocol):
    """Where questions and commands are typed."""

    def read(self) -> str:
        """Return what was typed. Raises `EOFError` at Ctrl-D and `KeyboardInterrupt` at Ctrl-C."""
        ...


Complete = Callable[[str], Sequence[str]]
"""Returns what may stand in the place of the last word of a line."""


class LineEditor:
    """An editor on this terminal."""

    def __init__(self, history: HistoryFile, complete: Complete) -> None:
        self._history = history
        self._session: PromptSession[str] = PromptSession(
            PROMPT,
            multiline=True,
            prompt_continuation=_continuation,
            history=InMemoryHistory(history.read()),
            completer=_SlashCompleter(complete),
            complete_while_typing=False,
            key_bindings=_keys(),
            enable_open_in_editor=True,
            search_ignore_case=True,
        )

    def read(self) -> str:
        """Return what was typed. Raises `EOFError` at Ctrl-D and `KeyboardInterrupt` at Ctrl-C."""
        text = to_utf8_text(self._session.prompt())
        self._history.add(text)
        return text


class _SlashCompleter(Completer):
    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - as prompt_toolkit calls it
    ) -> Iterable[Completion]:
        line = document.text_before_cursor
        word = line.rpartition(" ")[2]
        for text in self._complete(line):
            yield Completion(text, start_position=-len(word))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return keys
