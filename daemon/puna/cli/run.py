"""`puna run`: a chat in the terminal, or one answer for a script."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from puna.cli.model_names import complete_model
from puna.cli.outcome import complain
from puna.cli.start import failure
from puna.errors import NotRunningError, PunaError
from puna.instance import Endpoint
from puna.paths import Paths
from puna.supervision import StartOutcome, start_daemon
from puna.terminal.conversation import Conversation
from puna.terminal.options import OPTIONS, ChatOptions, set_option
from puna.terminal.safe_text import to_utf8_text
from puna.terminal.saved import read_format

_HELP = f"""

Without a prompt it is a chat, with history, several lines (three quotes around them), and commands: /help lists them.
With a prompt, or with input from a pipe, it prints one answer and ends. Starts Puna where it does not run, and
downloads the model where it is not on this machine.

\b
Examples:
  puna run demo
  puna run demo "Why is the sky blue?"
  puna run demo "Summarise this:" < report.txt
  puna run demo --set temperature=0 --set max_tokens=50 "Write a haiku."
  git diff | puna run demo "Write a commit message for this:" > message.txt

\b
--set takes what /set takes in a chat:
  {", ".join(list(OPTIONS)[:7])},
  {", ".join(list(OPTIONS)[7:12])},
  {", ".join(list(OPTIONS)[12:])}
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("run", help=summary + _HELP)(_command)


def _command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="As `puna ls` shows it.", autocompletion=complete_model)
    ],
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="What to ask.")] = None,
    system: Annotated[str, typer.Option("--system", "-s", help="What the model is told first.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option; once for each.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="json|FILE", help="Answer as JSON, or by a JSON schema.")
    ] = "",
    think: Annotated[
        bool | None,
        typer.Option("--think/--no-think", help="Whether the model reasons first.", show_default=False),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Do not render Markdown.")] = False,
) -> None:
    given = [f"system={to_utf8_text(system)}"] if system else []
    given += [f"format={format_}"] if format_ else []
    given += [] if think is None else [f"think={'on' if think else 'off'}"]
    given += ["markdown=off"] if plain else []
    conversation = Conversation(model=model, options=parse_options([*given, *(settings or [])]))
    if prompt or not sys.stdin.isatty() or not sys.stdout.isatty():
        _answer(conversation, prompt or [])
    else:
        _chat(conversation)


def parse_options(texts: Sequence[str]) -> ChatOptions:
    """Return the options of `temperature=0.5` and the like. Raises `typer.BadParameter`."""
    options = ChatOptions()
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"It takes NAME=VALUE, not {text}.", param_hint="--set")
        try:
            options = set_option(options, name.strip(), read_format(value) if name == "format" else value)
        except PunaError as error:
            raise typer.BadParameter(error.message, param_hint=f"--set {name}") from error
    return options


def _answer(conversation: Conversation, words: list[str]) -> None:
    from puna.terminal.answer_view import AnswerView, PlainView
    from puna.terminal.models import TerminalModels
    from puna.terminal.screen import Screen
    from puna.terminal.single_answer import answer_once, read_prompt

    question = read_prompt([to_utf8_text(word) for word in words], sys.stdin)
    models = TerminalModels(find_daemon)
    asked = conversation.with_model(models.ensure(conversation.model)).asking(question)
    view: AnswerView
    if sys.stdin.isatty() and sys.stdout.isatty():
        view = Screen().view(asked.options)
    else:
        view = PlainView(sys.stdout, is_terminal=sys.stdout.isatty(), shows_thoughts=False)
    answer_once(models.answer(asked), view, asked.options, lambda: models.waiting_for(asked.model))


def _chat(conversation: Conversation) -> None:
    from puna.terminal.completion import complete_line
    from puna.terminal.editor import LineEditor
    from puna.terminal.history import HistoryFile, history_file
    from puna.terminal.models import TerminalModels
    from puna.terminal.screen import Screen
    from puna.terminal.session import Session

    models = TerminalModels(find_daemon)
    named = conversation.with_model(models.ensure(conversation.model))
    history = HistoryFile(history_file(Paths.for_user()))
    editor = LineEditor(history, lambda line: complete_line(line, models.models_or_none))
    Session(models, editor, Screen(), named).run()


def find_daemon() -> Endpoint:
    """Return where the daemon answers; starts one, as `puna start` does, where none runs. Raises `PunaError`."""
    paths = Paths.for_user()
    start = start_daemon(paths, [])
    if start.endpoint is None or start.outcome is StartOutcome.FAILED:
        raise NotRunningError(failure(start, paths))
    if start.outcome is StartOutcome.STARTED:
        complain(f"Puna was started and runs at {start.endpoint.url}; `puna stop` ends it.")
    return start.endpoint
