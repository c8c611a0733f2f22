"""Where settings come from: defaults, puna.toml, PUNA_* variables, flags; the last one wins."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from puna.config.definitions import Kind, Setting, Value, all_settings, check
from puna.config.settings import Settings
from puna.config.values import parse
from puna.errors import ConfigError

FlagValue = str | bool | list[str]
"""A flag as the command line gives it: text, a switch, or one text for each time that it was given."""

_OTHER_VARIABLES = frozenset({"PUNA_HOME", "PUNA_DEBUG"})
"""Variables that are no settings; everything else that begins with PUNA_ and is close to one is told."""


UNQUOTED = frozenset({"remote_models"})
"""Settings in whose wrong values a key may stand, so that no message repeats them."""


class Source(StrEnum):
    """Who set a value."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


class Origin(Struct, frozen=True):
    """Where one value comes from."""

    source: Source
    place: str = ""
    """The file, the variable or the flag."""


class Resolved(Struct, frozen=True):
    """The settings that hold, and why."""

    settings: Settings
    origins: Mapping[str, Origin]
    """By setting name; all of them."""
    warnings: tuple[str, ...] = ()
    """Sentences about what was probably meant to be a setting."""


class _Given(NamedTuple):
    setting: Setting
    value: object
    origin: Origin
    base: Path


def load(
    config_file: Path, environ: Mapping[str, str], flags: Mapping[str, FlagValue] | None = None
) -> Resolved:
    """Return the settings that hold. Raises `ConfigError` for the first wrong thing, naming its place."""
    return resolve(read_file(config_file), config_file, environ, flags or {})


def resolve(
    table: Mapping[str, object], config_file: Path, environ: Mapping[str, str], flags: Mapping[str, FlagValue]
) -> Resolved:
    """Decide for each setting without touching a file.

    Relative paths start at the folder of the file in the table, at the current folder elsewhere.
    """
    here = Path.cwd()
    given = [
        *_from_table(table, config_file),
        *_from_environment(environ, here),
        *_from_flags(flags, here),
    ]
    values: dict[str, Value] = {}
    origins = dict.fromkeys(all_settings(), Origin(Source.DEFAULT))
    for one in given:
        values[one.setting.name] = _checked(one)
        origins[one.setting.name] = one.origin
    settings = msgspec.structs.replace(Settings(), **values)
    return Resolved(settings, origins, tuple(_misspelt_variables(environ)))


def read_file(config_file: Path) -> dict[str, object]:
    """Return the table of a file, empty when there is none. Raises `ConfigError` when it cannot be read."""
    try:
        # utf-8-sig: editors on Windows put a byte order mark in front, which TOML does not know.
        return tomllib.loads(config_file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(
            f"{config_file} cannot be read ({error.strerror}): make it a file of yours, or set PUNA_HOME to another "
            "folder."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{config_file} is not UTF-8 text; save it again as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{config_file} is not valid TOML: {error}; correct that line.") from error


def find_setting(name: str, place: str = "") -> Setting:
    """Return the setting with this name, which stood at `place`. Raises `ConfigError` with the nearest."""
    settings = all_settings()
    if name in settings:
        return settings[name]
    near = _nearest(name, settings)
    hint = f'; did you mean "{near}"?' if near else "."
    where = f" in {place}" if place else ""
    raise ConfigError(
        f'"{name}"{where} is not a setting{hint} "puna config list" shows all of them.', field=name
    )


def _checked(given: _Given) -> Value:
    setting, value, origin, base = given
    try:
        return check(setting.name, value, base)
    except ValueError as error:
        place = f"in {origin.place}" if origin.source is Source.FILE else f"set by {origin.place}"
        given_value = "" if setting.name in UNQUOTED else f", not {_quoted(value)}"
        message = f"{setting.name} must be {error}{given_value} ({place})."
        raise ConfigError(message, field=setting.name) from error


def _quoted(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _from_table(table: Mapping[str, object], config_file: Path) -> Iterator[_Given]:
    origin = Origin(Source.FILE, str(config_file))
    for name, value in table.items():
        yield _Given(find_setting(name, origin.place), value, origin, config_file.parent)


def _from_environment(environ: Mapping[str, str], here: Path) -> Iterator[_Given]:
    for setting in all_settings().values():
        text = environ.get(setting.variable, "")
        if text:
            yield _Given(setting, parse(setting, text), Origin(Source.ENVIRONMENT, setting.variable), here)


def _from_flags(flags: Mapping[str, FlagValue], here: Path) -> Iterator[_Given]:
    for name, value in flags.items():
        setting = find_setting(name)
        parsed = parse(setting, value) if isinstance(value, str) and setting.kind is not Kind.LIST else value
        yield _Given(setting, parsed, Origin(Source.FLAG, setting.flag), here)


def _misspelt_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = [setting.variable for setting in all_settings().values()]
    for variable in sorted(environ):
        if variable.startswith("PUNA_") and variable not in known and variable not in _OTHER_VARIABLES:
            near = _nearest(variable, known)
            if near:
                yield f"{variable} is not a setting and does nothing; did you mean {near}?"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)), None)
