"""`puna adapters`: what was trained here."""

from typing import Annotated

import msgspec
import typer

from puna.cli.exporting import export
from puna.cli.figures import print_table
from puna.cli.finetune_words import adapter_lines, adapter_row
from puna.cli.model_names import complete_adapter
from puna.cli.outcome import say
from puna.finetune_client import connect_finetunes
from puna.paths import Paths

_HELP = """

An adapter is a model name in every API: its base model, changed by what was learnt. Its file is for other programs
with llama.cpp; merged with its base it is a model of its own.

\b
Examples:
  puna adapters ls
  puna adapters show ft_model_0123456789ab
  puna run ft_model_0123456789ab
  puna adapters export ft_model_0123456789ab mine.gguf
  puna adapters export ft_model_0123456789ab whole.gguf --merged --type Q8_0
  puna adapters rm ft_model_0123456789ab
"""

_ID = typer.Argument(metavar="ID", help="As `puna adapters ls` shows it.", autocompletion=complete_adapter)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("ls", help="List the adapters.")(_list)
    group.command("show", help="Tell all about one: base, data, settings, results.")(_show)
    group.command("rm", help="Delete adapters.")(_remove)
    group.command("export", help="Write an adapter's GGUF file, alone or merged with its base.")(export)
    app.add_typer(group, name="adapters", help=summary + _HELP)


def _list(json: _Json = False) -> None:
    found = connect_finetunes(Paths.for_user()).adapters()
    if json:
        typer.echo(msgspec.json.encode({"adapters": found}))
    elif not found:
        say("There are no adapters; `puna finetune --model MODEL --data FILE` trains one.")
    else:
        columns = ("id", "name", "base", "accuracy", "loss", "size", "made")
        print_table(columns, list(map(adapter_row, found)))


def _show(adapter_id: Annotated[str, _ID], json: _Json = False) -> None:
    found = connect_finetunes(Paths.for_user()).adapter(adapter_id)
    if json:
        typer.echo(msgspec.json.encode(found))
        return
    for line in adapter_lines(found):
        say(line)


def _remove(
    adapter_ids: Annotated[list[str], _ID],
) -> None:
    client = connect_finetunes(Paths.for_user())
    for adapter_id in adapter_ids:
        client.remove_adapter(adapter_id)
        say(f"The adapter {adapter_id} is deleted; its base model stays.")
