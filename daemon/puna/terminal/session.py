"""The chat: reads what is typed, does what it says, until the user leaves."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, assert_never

from puna.errors import PunaError
from puna.terminal import saved
from puna.terminal.answering import Answer, Events, figures, receive, stoppable
from puna.terminal.commands import (
    HELP,
    KEYS,
    ChangeModel,
    Clear,
    Command,
    Help,
    Leave,
    Load,
    Save,
    Say,
    SetOption,
    Show,
    parse_command,
)
from puna.terminal.conversation import Conversation
from puna.terminal.daemon import LoadingModel
from puna.terminal.editor import Editor
from puna.terminal.options import OPTIONS, find_option, set_option, show_option
from puna.terminal.screen import Screen


class Models(Protocol):
    """The daemon, as the chat sees it; `puna.terminal.daemon.ChatDaemon` is one. Methods raise `PunaError`."""

    def answer(self, conversation: Conversation) -> Events:
        """Ask for the next turn."""
        ...

    def models(self) -> tuple[str, ...]:
        """Return the models that can run."""
        ...

    def resident(self, name: str) -> LoadingModel | None:
        """Return the model where it is in memory or on its way there."""
        ...

    def waiting_for(self, name: str) -> str:
        """Return what keeps an answer; never raises."""
        ...

    def warm_up(self, name: str) -> None:
        """Load a model in the background."""
        ...

    def ensure(self, name: str) -> str:
        """Return the name to ask for when the model is on this machine, after a download where needed."""
        ...


class Session:
    """One chat on one terminal."""

    def __init__(self, models: Models, editor: Editor, screen: Screen, conversation: Conversation) -> None:
        self.conversation = conversation
        self._models = models
        self._editor = editor
        self._screen = screen
        self._is_open = True

    def run(self) -> None:
        """Chat until the user leaves."""
        self._models.warm_up(self.conversation.model)
        self._screen.note(
            f"Chatting with {self.conversation.model}; /help lists the commands, /bye or Ctrl-D leaves."
        )
        while self._is_open:
            try:
                self._take(self._editor.read())
            except EOFError:
                return
            except KeyboardInterrupt:
                self._screen.note("Ctrl-D or /bye leaves.")

    def _take(self, line: str) -> None:
        """Do what a line says. What fails is told, and the chat goes on."""
        try:
            command = parse_command(line)
            if command is not None:
                self._do(command)
        except PunaError as error:
            self._screen.complain(error.message)
        except KeyboardInterrupt:
            self._screen.note("Interrupted.")
        except Exception as error:
            if os.environ.get("PUNA_DEBUG"):
                raise
            # A mistake in showing or sending one message must not cost the conversation.
            self._screen.complain(f"Unexpected {type(error).__name__}: {error}. This is a mistake in Puna.")

    def _do(self, command: Command) -> None:
        match command:
            case Say(text):
                self._ask(text)
            case SetOption(name, value):
                self._set(name, value)
            case Show():
                self._show()
            case Save(file):
                saved.write_conversation(saved.file_of(file), self.conversation)
                self._screen.say(f"Saved to {file}.")
            case Load(file):
                self._load(saved.file_of(file))
            case Clear():
                self.conversation = self.conversation.cleared()
                self._screen.say("Forgotten; options stay.")
            case ChangeModel(name):
                self._change_model(name)
            case Help():
                self._screen.table([*HELP, *KEYS])
            case Leave():
                self._is_open = False
            case _:
                assert_never(command)

    def _ask(self, question: str) -> None:
        """A question whose answer fails before it begins is forgotten: it can be asked again."""
        asked = self.conversation.asking(question)
        view = self._screen.view(asked.options)
        events = self._models.answer(asked)
        with stoppable() as is_stopped:
            answer = receive(
                events, view, is_stopped=is_stopped, waiting_for=lambda: self._models.waiting_for(asked.model)
            )
            was_stopped = is_stopped()
        if answer.text or not was_stopped:
            self.conversation = asked.answered(answer.text, answer.thought)
        self._tell(answer, was_stopped=was_stopped)

    def _tell(self, answer: Answer, *, was_stopped: bool) -> None:
        if was_stopped:
            self._screen.note("Stopped." if answer.text else "Stopped; the question is forgotten.")
        elif answer.end == "length":
            self._screen.note("The answer was cut: max_tokens or the model's context is used up.")
        elif not answer.text:
            self._screen.note("The answer is empty.")
        if self.conversation.options.figures and figures(answer):
            self._screen.note(figures(answer))
        self._screen.space()

    def _set(self, name: str, value: str) -> None:
        if not name:
            self._show_options()
            return
        if not value:
            takes = find_option(name).takes
            self._screen.say(f"{name} is {show_option(self.conversation.options, name)}; it takes {takes}.")
            return
        given = saved.read_format(value) if name == "format" else value
        options = set_option(self.conversation.options, name, given)
        self.conversation = self.conversation.with_options(options)
        value = show_option(options, name)
        self._screen.say(f"{name} is {value}{'' if value.endswith(('.', '!', '?')) else '.'}")

    def _show(self) -> None:
        self._screen.table([("model", self.conversation.model), *self._facts()])
        self._screen.space()
        self._show_options()

    def _facts(self) -> Sequence[tuple[str, str]]:
        facts = [("messages", str(len(self.conversation.messages)))]
        model = self._models.resident(self.conversation.model)
        if model is not None:
            facts.append(("state", model.state))
            facts.extend([("context", f"{model.context_length} tokens")] if model.context_length else [])
            facts.extend([("runs on", model.backend)] if model.backend else [])
        return facts

    def _show_options(self) -> None:
        options = self.conversation.options
        self._screen.table(
            (name, show_option(options, name), option.help) for name, option in OPTIONS.items()
        )

    def _load(self, file: Path) -> None:
        loaded = saved.read_conversation(file, self.conversation)
        if loaded.model != self.conversation.model:
            loaded = loaded.with_model(self._models.ensure(loaded.model))
            self._models.warm_up(loaded.model)
        self.conversation = loaded
        self._screen.say(f"Loaded {len(loaded.messages)} messages with {loaded.model}.")

    def _change_model(self, name: str) -> None:
        if not name:
            current = self.conversation.model
            self._screen.table(("*" if each == current else " ", each) for each in self._models.models())
            return
        self.conversation = self.conversation.with_model(self._models.ensure(name))
        self._models.warm_up(self.conversation.model)
        self._screen.say(f"The next answer is from {self.conversation.model}.")
