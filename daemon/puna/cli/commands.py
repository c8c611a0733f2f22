"""All commands by name. Only the one that was chosen is imported; the others are a line in the help."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, NamedTuple

import typer

from puna.cli.outcome import EXIT_CODES_HELP, ExitCode, complain, guarded, hush
from puna.cli.shell_words import COMPLETION_VARIABLE


class Command(NamedTuple):
    """A command's module, with `add_to(app, summary)`, and its line in the help."""

    module: str
    summary: str


COMMANDS = {
    "serve": Command("puna.cli.serve", "Run Puna here, until Ctrl-C."),
    "start": Command("puna.cli.start", "Start Puna in the background."),
    "run": Command("puna.cli.run", "Chat with a model here, or get one answer."),
    "ls": Command("puna.cli.ls", "List the models of this machine."),
    "search": Command("puna.cli.search", "Look for models on the Hub."),
    "pull": Command("puna.cli.pull", "Download a model."),
    "login": Command("puna.cli.login", "Keep your token of the Hugging Face Hub."),
    "logout": Command("puna.cli.logout", "Forget the token of the Hugging Face Hub."),
    "show": Command("puna.cli.show", "Tell all about one model."),
    "add": Command("puna.cli.add", "List a GGUF file that stays where it is."),
    "rm": Command("puna.cli.rm", "Delete a downloaded model, or forget a file."),
    "datasets": Command("puna.cli.datasets", "Add and check what models are trained on."),
    "finetune": Command("puna.cli.finetune", "Train an adapter for a model."),
    "adapters": Command("puna.cli.adapters", "List, show, export and delete adapters."),
    "stop": Command("puna.cli.stop", "Stop Puna."),
    "status": Command("puna.cli.status", "Say what runs."),
    "logs": Command("puna.cli.log_lines", "Show the log."),
    "doctor": Command("puna.cli.doctor", "Say what this machine can do, and what is wrong."),
    "keys": Command("puna.cli.keys", "List, make and revoke keys."),
    "config": Command("puna.cli.settings", "Show and change settings."),
    "completion": Command("puna.cli.completion", "Print the script with which your shell completes."),
    "version": Command("puna.cli.version", "Say which version this is."),
}

OTHER_NAMES = {
    "ps": "status",
    "list": "ls",
    "models": "ls",
    "chat": "run",
    "get": "pull",
    "download": "pull",
    "find": "search",
    "info": "show",
    "import": "add",
    "remove": "rm",
    "delete": "rm",
    "train": "finetune",
    "log": "logs",
}
"""What other programs call some of them, and people type."""

_HELP = """Puna runs language models (GGUF files) on this machine and serves them over HTTP.

\b
Examples:
  puna start                        in background, on http://localhost:8000
  puna serve --model ~/llama.gguf   run here, with this model
  puna run demo                     chat in this terminal
  puna pull llama3.2:1b             download a model
  puna status                       what runs, and where
  puna config set port 8080         from the next start on
  puna stop

`puna help COMMAND` tells more about a command."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    if os.environ.get(COMPLETION_VARIABLE):
        from puna.cli.completion import complete

        return complete(build_app)
    given = _with_help(list(arguments))
    if given[0] in OTHER_NAMES:
        complain(f"There is no command {given[0]}; `puna {OTHER_NAMES[given[0]]}` does that.")
        return ExitCode.WRONG_USE
    return guarded(lambda: _invoke(build_app(given[0]), given))


def build_app(chosen: str) -> typer.Typer:
    """Return the command line with one command loaded, and the others in its help."""
    app = typer.Typer(
        name="puna",
        help=_HELP,
        epilog=EXIT_CODES_HELP,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(_root)
    for name, command in COMMANDS.items():
        if name == chosen:
            import_module(command.module).add_to(app, command.summary)
        else:
            app.command(name, help=command.summary)(_not_loaded)
    return app


def _with_help(arguments: list[str]) -> list[str]:
    """Return the arguments, with `puna` and `puna help COMMAND` as what they stand for."""
    match arguments:
        case [] | ["help"]:
            return ["--help"]
        case ["help", *command]:
            return [*command, "--help"]
        case _:
            return arguments


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help=COMMANDS["version"].summary)] = False,
) -> None:
    if version:
        from puna.cli.version import describe_version

        typer.echo(describe_version())
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _not_loaded() -> None:
    raise AssertionError("a command was run that was not loaded")


def _invoke(app: typer.Typer, arguments: list[str]) -> int:
    try:
        app(arguments, prog_name="puna")
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):
            raise exit_.__context__ from None  # typer makes a failure of it
        if exit_.code == ExitCode.INTERRUPTED:
            hush()
        return exit_.code if isinstance(exit_.code, int) else int(bool(exit_.code))
    finally:
        # Here and not at the interpreter's end, so that a closed pipe is seen by `guarded`.
        sys.stdout.flush()
    return 0
