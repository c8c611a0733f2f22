"""The settings as options of a command, so that `--help` and the checks come from their definitions."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from puna.config import FlagValue, Kind, Setting, all_settings
from puna.config.values import show

_METAVARS = {Kind.INTEGER: "NUMBER", Kind.NUMBER: "NUMBER", Kind.CHOICE: "WORD"}


def with_setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that takes `**flags` with one option for each setting; its other parameters stay."""
    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    options = [_parameter(setting) for setting in all_settings().values()]

    @functools.wraps(command)
    def with_options(**given: object) -> None:
        command(**given)

    with_options.__dict__["__signature__"] = inspect.Signature([*own, *options])
    return with_options


def given_flags(flags: Mapping[str, FlagValue | None]) -> dict[str, FlagValue]:
    """Return the options that were given."""
    return {name: value for name, value in flags.items() if value is not None and value != []}


def _parameter(setting: Setting) -> inspect.Parameter:
    default = show(setting.default) if setting.default != () else "none"
    text = f"{setting.help} [{setting.allowed}; default: {default}]"
    match setting.kind:
        case Kind.SWITCH:
            name = f"{setting.flag}/{setting.flag.replace('--', '--no-', 1)}"
            shape: object = Annotated[bool | None, typer.Option(name, help=text, show_default=False)]
        case Kind.LIST:
            text = f"{setting.help} Once for each. [{setting.allowed}; default: {default}]"
            shape = Annotated[list[str] | None, typer.Option(setting.flag, help=text, metavar="TEXT")]
        case _:
            metavar = _METAVARS.get(setting.kind, "TEXT")
            shape = Annotated[str | None, typer.Option(setting.flag, help=text, metavar=metavar)]
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=shape)
