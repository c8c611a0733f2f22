"""`puna start`: the daemon in the background."""

import os

import typer

from puna.cli.greeting import first_key_lines, greeting
from puna.cli.outcome import ExitCode, complain
from puna.cli.setting_options import given_flags, with_setting_options
from puna.client import ControlClient
from puna.config import FlagValue, load
from puna.config.flags import to_arguments
from puna.errors import PunaError
from puna.instance import Endpoint
from puna.paths import Paths
from puna.supervision import Start, StartOutcome, start_daemon

_HELP = """

Returns when Puna answers, or says why it does not. That it already runs is no error. The flags are those of
`puna serve`.

\b
Examples:
  puna start
  puna start --port 8080 --model ~/models/qwen2.5-7b-instruct-q4_k_m.gguf
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("start", help=summary + _HELP)(with_setting_options(_command))


def _command(**flags: FlagValue | None) -> None:
    paths = Paths.for_user()
    given = given_flags(flags)
    load(paths.config_file, os.environ, given)
    outcome = start_daemon(paths, to_arguments(given))
    if outcome.outcome is StartOutcome.FAILED or outcome.endpoint is None:
        complain(failure(outcome, paths))
        raise typer.Exit(ExitCode.FAILED)
    if outcome.outcome is StartOutcome.STARTED:
        typer.echo(greeting(outcome.endpoint, paths, in_foreground=False))
        _show_first_key(outcome.endpoint)
        return
    hint = " with the settings that it was started with; `puna stop` first to change them" if given else ""
    typer.echo(f"Puna already runs at {outcome.endpoint.url} (process {outcome.endpoint.pid}){hint}.")


def _show_first_key(endpoint: Endpoint) -> None:
    """Have the key of the first start made here: what a daemon in the background prints ends up in a file."""
    try:
        made = ControlClient(endpoint).create_first_key()
    except PunaError as error:
        complain(f"The first key was not made: {error.message} `puna keys create --name NAME` makes one.")
        return
    if made is not None:
        typer.echo(first_key_lines(made.secret))


def failure(outcome: Start, paths: Paths) -> str:
    """Return why it did not start: its own sentence if there is one, else what it printed last."""
    said = [line.removeprefix("puna: ") for line in outcome.output if line.startswith("puna: ")]
    if said:
        return f"Puna did not start. {said[-1]}"
    how = "it does not answer" if outcome.exit_code is None else f"exit code {outcome.exit_code}"
    lines = "".join(f"\n  {line}" for line in outcome.output)
    return f"Puna did not start ({how}); {paths.daemon_log} may tell more. What it printed last:{lines}"
