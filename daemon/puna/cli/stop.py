"""`puna stop`."""

from typing import Annotated

import typer

from puna.cli.outcome import ExitCode, complain
from puna.paths import Paths
from puna.supervision import Stop, StopOutcome, stop_daemon

_HELP = """

Open requests get the time of the setting drain_timeout_s to finish. When Puna takes longer than it said, or than
--timeout, its process is ended; that process only. That nothing runs is no error.

\b
Examples:
  puna stop
  puna stop --timeout 5
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("stop", help=summary + _HELP)(_command)


def _command(
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait before the process is ended; without it, as long as it says that it needs.",
        ),
    ] = None,
) -> None:
    stop = stop_daemon(Paths.for_user(), timeout)
    if stop.outcome is StopOutcome.FAILED:
        complain(describe(stop))
        raise typer.Exit(ExitCode.FAILED)
    typer.echo(describe(stop))


def describe(stop: Stop) -> str:
    """Return what was done, in a sentence."""
    process = f"process {stop.endpoint.pid}" if stop.endpoint else "its process"
    match stop.outcome:
        case StopOutcome.NOT_RUNNING:
            return "Puna does not run."
        case StopOutcome.STOPPED:
            return f"Puna stopped ({process})."
        case StopOutcome.KILLED:
            return f"Puna did not stop in time, so {process} was ended."
        case StopOutcome.FAILED:
            return (
                f"Puna holds its lock but does not answer, and {process} could not be ended; "
                "try again in a moment, or end it yourself."
            )
