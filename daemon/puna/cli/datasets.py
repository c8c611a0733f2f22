"""`puna datasets`: what models are fine-tuned on."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from puna.cli.dataset_report import dataset_lines, dataset_row, report_lines, summary
from puna.cli.figures import print_table
from puna.cli.outcome import say
from puna.domain.datasets import Dataset, DatasetFormat, DatasetReport
from puna.finetune_client import DatasetFaultyError, FinetuneClient, connect_finetunes
from puna.paths import Paths
from puna.terminal.redrawing import waiting

_HELP = """

A dataset is a CSV with the columns text and label (or labels, several with commas), a JSONL with text, with prompt
and completion or with messages, or a text file. It is checked when it is added, and kept once by its content; your
file is not needed any more.

\b
Examples:
  puna datasets add reviews.csv
  puna datasets add notes.txt --format text
  puna datasets ls
  puna datasets show ds_0123456789abcdef_csv
  puna datasets rm ds_0123456789abcdef_csv
"""

_Id = Annotated[str, typer.Argument(metavar="ID", help="As `puna datasets ls` shows it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("add", help="Check files and keep them.")(_add)
    group.command("ls", help="List what was added.")(_list)
    group.command("show", help="Tell all about one: counts, labels, warnings.")(_show)
    group.command("rm", help="Delete Puna's copy; adapters that were trained on it stay.")(_remove)
    app.add_typer(group, name="datasets", help=summary + _HELP)


def _add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="A .csv, .jsonl or .txt file.")],
    stated: Annotated[
        DatasetFormat | None, typer.Option("--format", help="Where the name does not tell it.")
    ] = None,
    json: _Json = False,
) -> None:
    client = connect_finetunes(Paths.for_user())
    for file in files:
        dataset = add_file(client, file, stated, json=json)
        if json:
            typer.echo(msgspec.json.encode(dataset))
        else:
            _print(report_lines(dataset.report))
            say(summary(dataset))


def add_file(client: FinetuneClient, file: Path, stated: DatasetFormat | None, *, json: bool) -> Dataset:
    """Let the daemon keep a file. Of a faulty one the report is printed, before the refusal is raised."""
    try:
        with waiting(f"Checking {file} ..."):
            return client.add_dataset(file, stated)
    except DatasetFaultyError as refused:
        _print_faulty(refused.report, json=json)
        raise


def _print_faulty(report: DatasetReport | None, *, json: bool) -> None:
    if report is not None and json:
        typer.echo(msgspec.json.encode({"report": report}))
    elif report is not None:
        _print(report_lines(report))


def _list(json: _Json = False) -> None:
    found = connect_finetunes(Paths.for_user()).datasets()
    if json:
        typer.echo(msgspec.json.encode({"datasets": found}))
    elif not found:
        say("There are no datasets; `puna datasets add FILE` adds one.")
    else:
        columns = ("id", "name", "holds", "samples", "labels", "size", "warnings")
        print_table(columns, list(map(dataset_row, found)))


def _show(dataset_id: _Id, json: _Json = False) -> None:
    found = connect_finetunes(Paths.for_user()).dataset(dataset_id)
    if json:
        typer.echo(msgspec.json.encode(found))
    else:
        _print(dataset_lines(found))


def _remove(
    dataset_ids: Annotated[list[str], typer.Argument(metavar="ID", help="As `puna datasets ls` shows it.")],
) -> None:
    client = connect_finetunes(Paths.for_user())
    for dataset_id in dataset_ids:
        client.remove_dataset(dataset_id)
        say(f"The dataset {dataset_id} is removed; the file that you added stays where it is.")


def _print(lines: list[str]) -> None:
    for line in lines:
        say(line)
