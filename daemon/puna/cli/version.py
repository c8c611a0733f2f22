"""`puna version`."""

import platform
from importlib import metadata

import typer

from puna import __version__


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("version", help=summary)(_command)


def _command() -> None:
    typer.echo(describe_version())


def describe_version() -> str:
    """Return Puna's version, and those that a report of a mistake needs."""
    try:
        llama = metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        llama = "missing"
    system = f"{platform.system()} {platform.machine()}"
    return f"Puna {__version__} (Python {platform.python_version()}, llama-cpp-python {llama}, {system})"
