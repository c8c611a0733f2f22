"""`puna add`: list a GGUF file that stays where it is."""

from pathlib import Path
from typing import Annotated, assert_never

import msgspec
import typer

from puna.cli.outcome import say
from puna.domain.model_kind import ModelKind
from puna.domain.model_list import ListedModel
from puna.model_client import connect_models
from puna.paths import Paths
from puna.terminal.saved import file_of

_HELP = """

The file is not copied. `puna rm NAME` forgets it again; for many files, add their folder to the setting
model_folders.

\b
Examples:
  puna add ~/models/mistral-7b-q4_k_m.gguf
  puna add ./model-00001-of-00003.gguf --name big
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("add", help=summary + _HELP)(_command)


def _command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="A GGUF file, the first of a split.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What requests call it; else its file name.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each.")] = False,
) -> None:
    if name is not None and len(files) != 1:
        raise typer.BadParameter("A name is for one file.", param_hint="--name")
    client = connect_models(Paths.for_user())
    for file in files:
        added = client.add_model(str(file_of(str(file)).absolute()), name)
        typer.echo(msgspec.json.encode(added)) if json else say(describe_added(added))


def describe_added(model: ListedModel) -> str:
    """Return under which name it is listed, in a sentence."""
    facts = f" ({model.description})" if model.description else ""
    return f"{model.id} is listed{facts}; {_use_of(model)}."


def _use_of(model: ListedModel) -> str:
    match model.kind:
        case ModelKind.TEXT:
            return f"`puna run {model.id}` starts a chat"
        case ModelKind.EMBEDDING:
            return "it makes vectors, as for /v1/embeddings"
        case ModelKind.RERANKER:
            return "it ranks documents, as for /v1/rerank"
        case _:
            assert_never(model.kind)
