"""`puna ls`: the models of this machine."""

from typing import Annotated

import msgspec
import typer

from puna.cli.figures import print_table, show_count, show_size
from puna.cli.outcome import say
from puna.domain.model_list import ListedModel, ModelList
from puna.domain.models import ModelState
from puna.model_client import connect_models
from puna.paths import Paths

_HELP = """

\b
Examples:
  puna ls
  puna ls --all             also files that cannot run, and why
  puna ls --json
"""
_LOADED = {ModelState.READY: "loaded", ModelState.LOADING: "loading", ModelState.FAILED: "failed"}


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("ls", help=summary + _HELP)(_command)


def _command(
    all_: Annotated[bool, typer.Option("--all", "-a", help="Show files that cannot run, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    found = connect_models(Paths.for_user()).models()
    if json:
        typer.echo(msgspec.json.encode(found))
        return
    columns = ("model", "size", "parameters", "quantisation", "context", "from", "")
    print_table(columns, [model_row(model) for model in found.models])
    for line in remarks(found, shows_all=all_):
        say(line)


def model_row(model: ListedModel) -> tuple[str, ...]:
    """Return the cells of a model's row."""
    names = ", ".join(model.nicknames)
    return (
        f"{model.id} ({names})" if names else model.id,
        show_size(model.size_bytes),
        show_count(model.parameter_count),
        model.quantisation or "-",
        show_count(model.context_length),
        model.source,
        _LOADED.get(model.state, ""),
    )


def remarks(found: ModelList, *, shows_all: bool) -> list[str]:
    """Return what to say below the table."""
    told = [file for file in found.unusable if shows_all or file.is_broken]
    lines = [f"{file.id} cannot run: {file.reason}" for file in told]
    lines += [
        f"{offer.tool} has {offer.model_count} models ({show_size(offer.size_bytes)}) in {offer.folder}; "
        f"`puna config set use_models_of {offer.tool}` lists them here."
        for offer in found.offers
    ]
    return lines
