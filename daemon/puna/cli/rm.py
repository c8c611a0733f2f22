"""`puna rm`: take models away."""

from typing import Annotated

import msgspec
import typer

from puna.cli.figures import show_size
from puna.cli.model_names import complete_model
from puna.cli.outcome import say
from puna.domain.model_list import RemovedModel
from puna.model_client import connect_models
from puna.paths import Paths

_HELP = """

Deletes the files of a model that came from the Hub, from the cache that other programs share. A file that was added
is only forgotten, and so is a further name of a model; files in your own folders are never deleted.

\b
Examples:
  puna rm llama3.2:1b
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("rm", help=summary + _HELP)(_command)


def _command(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="As `puna ls` shows it.", autocompletion=complete_model),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each.")] = False,
) -> None:
    client = connect_models(Paths.for_user())
    for name in names:
        removed = client.remove_model(name)
        typer.echo(msgspec.json.encode(removed)) if json else say(describe_removal(removed))


def describe_removal(removed: RemovedModel) -> str:
    """Return what became of it, in a sentence."""
    if removed.is_deleted:
        return f"{removed.id} is deleted; {show_size(removed.freed_bytes)} are free again."
    return f"{removed.id} is forgotten; the file stays where it is."
