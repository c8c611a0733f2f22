"""`puna doctor`."""

import asyncio
import logging
import os
import sys
from contextlib import nullcontext
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from puna.cli.outcome import ExitCode
from puna.doctor.finding import Report, Verdict
from puna.domain.hardware import ModelUse
from puna.domain.memory import DeviceNeed
from puna.hardware.sizes import show_size
from puna.paths import Paths
from puna.terminal.safe_text import to_safe_text

if TYPE_CHECKING:
    from rich.console import Console

_HELP = """

It says what this machine has, whether llama.cpp can be loaded and what it can use, whether Puna's folders, its
port and the Hub are in order, what each model in memory uses and why not more, and ends with what to do. It takes
a few seconds, changes nothing and shows no secret.

\b
Examples:
  puna doctor
  puna doctor --json        for programs; {"verdict": "ok", "to_do": [], ...}

Exit code 0 when all works, warnings or not; 1 when there is a problem.
"""
_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "bold red"}
_MARKS = {Verdict.OK: "ok", Verdict.WARNING: "warning", Verdict.PROBLEM: "PROBLEM"}
_WIDTH = 110
_MARK_WIDTH, _SUBJECT_WIDTH, _LABEL_WIDTH, _NARROWEST, _NARROW_INDENT = 9, 15, 12, 30, 2


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("doctor", help=summary + _HELP)(_command)


def _command(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    from puna.doctor.examination import Examination

    logging.getLogger().addHandler(
        logging.NullHandler()
    )  # what the daemon logs of all this, the findings say
    console = make_console()
    examination = Examination(Paths.for_user(), os.environ, is_bundle=bool(getattr(sys, "frozen", False)))
    with nullcontext() if json else console.status("Looking around ..."):
        report = asyncio.run(examination.run())
    typer.echo(to_json(report)) if json else _print_whole(report, console)
    raise typer.Exit(ExitCode.FAILED if report.verdict is Verdict.PROBLEM else ExitCode.DONE)


def _print_whole(report: Report, console: "Console") -> None:
    """Print at once and past rich, which ends the program with a code of its own where nobody reads on."""
    with console.capture() as printed:
        print_report(report, console)
    typer.echo(printed.get(), nl=False)


def to_json(report: Report) -> bytes:
    """Return the report for programs."""
    return msgspec.json.encode({**msgspec.to_builtins(report), "to_do": report.to_do})


def make_console() -> "Console":
    """Return where to print: as wide as the terminal, but no wider than can be read well."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, soft_wrap=False)
    console.width = min(console.width, _WIDTH) if sys.stdout.isatty() else _WIDTH
    return console


def print_report(report: Report, console: "Console") -> None:
    """Print the table, the models in memory, and what to do."""
    from puna.cli.version import describe_version

    console.print(describe_version())
    for section, group in groupby(report.findings, key=lambda finding: finding.section):
        _print_title(section, console)
        for each in group:
            _print_row(
                console, each.subject, each.text, mark=_MARKS[each.verdict], style=_STYLES[each.verdict]
            )
    uses = report.hardware.models if report.hardware else ()
    if uses:
        _print_title("In memory", console)
    for use in uses:
        for number, (label, text) in enumerate(describe_use(use)):
            _print_row(console, "" if number else use.id, text, label=label)
    _print_to_do(report, console)


def describe_use(use: ModelUse) -> list[tuple[str, str]]:
    """Return what a model uses, a label and a text for each thing, with why it is not more."""
    layers = str(use.gpu_layers) if use.layers is None else f"{use.gpu_layers} of {use.layers}"
    trained = f" of {use.trained_context_length}" if use.trained_context_length else ""
    return [
        ("runs on", f"{use.backend}, {use.slots} requests at a time"),
        *(("memory", f"{need.device}: {_describe_need(need)}") for need in use.needs),
        ("GPU layers", f"{layers}: {use.layers_reason}"),
        ("threads", f"{use.threads}: {use.threads_reason}"),
        ("context", f"{use.context_length}{trained} tokens: {use.context_reason}"),
    ]


def _describe_need(need: DeviceNeed) -> str:
    parts = {
        "weights": need.weights_bytes,
        "context": need.cache_bytes,
        "computing": need.compute_bytes,
        "the process": need.process_bytes,
        "shared with the GPU": need.shared_bytes,
    }
    told = ", ".join(f"{name} {show_size(size)}" for name, size in parts.items() if size)
    return f"{show_size(need.total_bytes)} set aside ({told})"


def _print_title(title: str, console: "Console") -> None:
    console.print()
    console.print(title, style="bold")


def _print_row(
    console: "Console", subject: str, text: str, *, mark: str = "", style: str = "", label: str = ""
) -> None:
    """Print a row whose text stays in its column, or below the rest where the terminal is too narrow for that.

    A word that is too long for a line is left whole, so that it can be copied.
    """
    from rich.text import Text

    column = f"{label:<{_LABEL_WIDTH}}" if label else ""
    start = f"{subject:<{_SUBJECT_WIDTH}}"
    start += column if start.endswith(" ") else f" {column}"
    indent = " " * (_MARK_WIDTH + len(start))
    is_narrow = console.width - len(indent) < _NARROWEST
    if is_narrow:
        indent = " " * _NARROW_INDENT
    lines = wrap(
        to_safe_text(text),
        max(console.width - len(indent), 1),
        break_long_words=False,
        break_on_hyphens=False,
    )
    if is_narrow:
        head = Text(" ".join(filter(None, (mark, subject, label))))
    else:
        head = Text.assemble(f"{mark:<{_MARK_WIDTH}}", start, lines.pop(0) if lines else "")
    head.stylize(style, 0, len(mark))
    console.print(head, soft_wrap=True)
    for line in lines:
        console.print(indent + line, soft_wrap=True)


def _print_to_do(report: Report, console: "Console") -> None:
    """Print each step on one line of the output, which the terminal may wrap: commands can be copied."""
    console.print()
    if not report.to_do:
        console.print("All is well.", style=_STYLES[Verdict.OK])
        return
    worst = "Something does not work." if report.verdict is Verdict.PROBLEM else "Puna works."
    console.print(f"{worst} What to do:", style=_STYLES[report.verdict])
    for number, step in enumerate(report.to_do, start=1):
        console.print(to_safe_text(f"  {number}. {step}"), soft_wrap=True)
