"""`puna config`: show and change settings."""

import os
from typing import Annotated

import msgspec
import typer

from puna.cli.figures import print_table
from puna.cli.outcome import complain, say
from puna.config import Resolved, Source, all_settings, find_setting, load
from puna.config.values import show
from puna.paths import Paths

_HELP = """

A setting comes from a flag of serve or start, else from its environment variable, else from the settings
file, else it has its default. Changes hold from the next start on.

\b
Examples:
  puna config list
  puna config set port 8080
  puna config set model_folders ~/models /srv/gguf
  puna config unset port
"""


def complete_setting(incomplete: str) -> list[str]:
    """Return the settings whose names begin so."""
    return [name for name in all_settings() if name.startswith(incomplete)]


_Name = Annotated[
    str,
    typer.Argument(
        help="Name of the setting, as `puna config list` shows it.", autocompletion=complete_setting
    ),
]


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list", help="Show all settings, and where each comes from.")(_list)
    group.command("get", help="Show one setting.")(_get)
    group.command("set", help="Write a setting to the file; several values for a list.")(_set)
    group.command("unset", help="Remove a setting from the file.")(_unset)
    group.command("path", help="Show where the settings file is, or would be.")(_path)
    app.add_typer(group, name="config", help=summary + _HELP)


def _list(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    resolved = _load()
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(to_table(resolved)), indent=2))
    else:
        print_table(("setting", "value", "from"), setting_rows(resolved))
    for warning in resolved.warnings:
        complain(warning)


def to_table(resolved: Resolved) -> dict[str, dict[str, object]]:
    """Return value, source and place of each setting, for programs."""
    values = msgspec.to_builtins(resolved.settings, enc_hook=str)
    return {
        name: {"value": values[name], "source": origin.source.value, "place": origin.place}
        for name, origin in resolved.origins.items()
    }


def setting_rows(resolved: Resolved) -> list[tuple[str, str, str]]:
    """Return the cells of each setting's row."""
    return [
        (name, show(getattr(resolved.settings, name)) or "none", origin.place or origin.source.value)
        for name, origin in resolved.origins.items()
    ]


def _get(name: _Name) -> None:
    setting = find_setting(name)
    typer.echo(show(getattr(_load().settings, setting.name)))


def _set(
    name: _Name,
    values: Annotated[list[str], typer.Argument(help="The value; `auto` where it may be left to Puna.")],
) -> None:
    from puna.config.editing import set_value

    file = Paths.for_user().config_file
    value = set_value(file, name, values)
    say(f"{name} is {show(value) or 'none'} in {file}, from the next start on.")
    _warn_of_environment(name)


def _unset(name: _Name) -> None:
    from puna.config.editing import unset_value

    file = Paths.for_user().config_file
    removed = unset_value(file, name)
    say(f"{name} is no longer in {file}." if removed else f"{name} does not stand in {file}.")


def _path() -> None:
    typer.echo(Paths.for_user().config_file)


def _warn_of_environment(name: str) -> None:
    origin = _load().origins[name]
    if origin.source is Source.ENVIRONMENT:
        complain(f"{all_settings()[name].variable} is set in the environment and wins.")


def _load() -> Resolved:
    return load(Paths.for_user().config_file, os.environ)
