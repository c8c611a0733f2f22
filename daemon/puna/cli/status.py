"""`puna status`."""

from typing import Annotated

import msgspec
import typer

from puna.cli.figures import print_table
from puna.cli.outcome import ExitCode, say
from puna.client import ControlClient, DaemonStatus, ModelStatus, probe
from puna.instance import Presence
from puna.paths import Paths

_CELL = 80
"""Characters of an error in the table."""
_HELP = """

\b
Examples:
  puna status
  puna status --json        for programs; {"state": "running", "models": ...}

Exit code 0 when Puna runs and answers, 3 when it does not run, 4 when it runs but does not answer.
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("status", help=summary + _HELP)(_command)


def _command(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    found = probe(Paths.for_user())
    match found.presence:
        case Presence.RUNNING if found.endpoint is not None:
            status = ControlClient(found.endpoint).status()
            _print_json("running", status) if json else _print_status(found.endpoint.url, status)
        case Presence.STARTING:
            _print_json("starting") if json else say("Puna is starting, or does not answer.")
            raise typer.Exit(ExitCode.NOT_ANSWERING)
        case _:
            _print_json("stopped") if json else say("Puna does not run; `puna start` starts it.")
            raise typer.Exit(ExitCode.NOT_RUNNING)


def _print_json(state: str, status: DaemonStatus | None = None) -> None:
    details = msgspec.to_builtins(status) if status else {}
    typer.echo(msgspec.json.encode({"state": state, **details}))


def _print_status(url: str, status: DaemonStatus) -> None:
    say(
        f"Puna {status.version} runs at {url} (process {status.pid}), for {show_duration(status.uptime_s)}, "
        f"with {status.requests} requests."
    )
    if status.organisation:
        say(f"The default organisation is {status.organisation}.")
    if not status.models:
        say("No model is loaded; the first request loads one.")
        return
    columns = ("model", "state", "busy", "waiting", "context", "threads", "runs on", "tokens")
    print_table(columns, list(map(model_row, status.models)))


def model_row(model: ModelStatus) -> tuple[str, ...]:
    """Return the cells of a model's row; what is not known is a dash."""
    return (
        model.id,
        _state(model),
        f"{_show(model.busy_slots)} of {_show(model.slots)}",
        _show(model.waiting_requests),
        _show(model.context_length),
        _show(model.threads),
        f"{model.backend} ({model.backend_reason})" if model.backend_reason else _show(model.backend),
        f"{_show(model.prompt_tokens)} + {_show(model.completion_tokens)}",
    )


def _state(model: ModelStatus) -> str:
    if model.error:
        return f"{model.state}: {_shorten(model.error)}"
    return f"loading {model.progress:.0%}" if model.state == "loading" and model.progress else model.state


def _shorten(sentence: str) -> str:
    """Return what fits a cell; `puna logs --worker` has the rest."""
    return sentence if len(sentence) <= _CELL else f"{sentence[: _CELL - 1].rstrip()}…"


def show_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `2 d 3 h`, `5 min 2 s`."""
    rest = int(seconds)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _show(value: object) -> str:
    return "-" if value is None else str(value)
