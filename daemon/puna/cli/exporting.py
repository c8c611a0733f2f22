"""`puna adapters export`: an adapter's file, or a model of adapter and base."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from puna.cli.figures import show_size
from puna.cli.model_names import complete_adapter
from puna.cli.outcome import say
from puna.domain.merging import ExportEvent, MergedType, MergeResult
from puna.errors import NotRunningError, PunaError
from puna.finetune_client import FinetuneClient, connect_finetunes
from puna.paths import Paths
from puna.terminal.redrawing import can_redraw

_PHASES = {"checking": "Checking the base", "writing": "Writing", "done": "Done"}


def export(
    adapter_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="As `puna adapters ls` shows it.", autocompletion=complete_adapter),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    merged: Annotated[
        bool, typer.Option("--merged", help="Together with the base, as a model of its own.")
    ] = False,
    type_: Annotated[
        MergedType | None,
        typer.Option("--type", case_sensitive=False, help="How a merged model is stored; else as its base."),
    ] = None,
) -> None:
    """Write an adapter's GGUF file, alone or merged with its base."""
    if type_ is not None and not merged:
        raise typer.BadParameter("--type is for --merged: an adapter alone has one type.")
    client = connect_finetunes(Paths.for_user())
    if merged:
        _merge(client, adapter_id, file.absolute(), type_)
    else:
        _write(client, adapter_id, file)


def _write(client: FinetuneClient, adapter_id: str, file: Path) -> None:
    base = client.adapter(adapter_id).base_id
    try:
        size = client.export_adapter(adapter_id, file)
    except FileExistsError as error:
        raise PunaError(f"{file} is there already; name a new file.") from error
    except (ConnectionError, TimeoutError) as error:
        raise NotRunningError("The connection to Puna was lost before the file was whole.") from error
    except OSError as error:
        raise PunaError(f"{file} cannot be written: {error.strerror}.") from error
    say(f"{file} holds the adapter ({show_size(size)}); llama.cpp loads it with --lora beside {base}.")


def _merge(client: FinetuneClient, adapter_id: str, file: Path, merged_type: MergedType | None) -> None:
    result = _show(client.export_merged(adapter_id, file, merged_type))
    kind = f"{result.quantisation}, " if result.quantisation else ""
    size, typed = show_size(result.size_bytes), shlex.quote(str(file))
    say(f"{file} is a model of its own ({kind}{size}); `puna add {typed}` lists it.")


def _show(events: Iterator[ExportEvent]) -> MergeResult:
    """Show how far it is, where somebody looks. Ctrl-C ends the connection, and the daemon gives the export up."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not can_redraw(sys.stderr)) as progress:
        task = progress.add_task("", total=None)
        phase = ""
        for event in events:
            if event.phase != phase:
                phase = event.phase
                progress.reset(task, description=_PHASES.get(phase, phase), total=event.total_bytes)
            progress.update(task, completed=event.done_bytes)
            if event.result is not None:
                return event.result
    raise NotRunningError("Puna stopped before the file was whole; nothing is left of it.")
