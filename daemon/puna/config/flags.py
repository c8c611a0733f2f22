"""Settings on the command line, without a command-line library: the daemon itself needs no more than this."""

from collections.abc import Mapping, Sequence

from puna.config.definitions import Kind, Setting, all_settings
from puna.config.sources import FlagValue


def parse_flags(arguments: Sequence[str]) -> dict[str, FlagValue] | None:
    """Return the settings of `--name value`, `--name=value`, `--switch` and `--no-switch`, by setting name.

    None when anything else stands there, `--help` included: then the command line's own parser has the word.
    """
    flags: dict[str, FlagValue] = {}
    rest = list(arguments)
    while rest:
        option, has_value, value = rest.pop(0).partition("=")
        setting = _by_flag().get(option.replace("--no-", "--", 1))
        if setting is None or (option.startswith("--no-") and setting.kind is not Kind.SWITCH):
            return None
        if setting.kind is Kind.SWITCH:
            if has_value:
                return None
            flags[setting.name] = not option.startswith("--no-")
            continue
        if not has_value:
            if not rest or rest[0].startswith("--"):
                return None
            value = rest.pop(0)
        _add(flags, setting, value)
    return flags


def to_arguments(flags: Mapping[str, FlagValue]) -> list[str]:
    """Return the command line that `parse_flags` reads back."""
    arguments: list[str] = []
    for name, value in flags.items():
        flag = all_settings()[name].flag
        match value:
            case bool():
                arguments.append(flag if value else flag.replace("--", "--no-", 1))
            case str():
                arguments.append(f"{flag}={value}")
            case list():
                arguments.extend(f"{flag}={item}" for item in value)
    return arguments


def _by_flag() -> dict[str, Setting]:
    return {setting.flag: setting for setting in all_settings().values()}


def _add(flags: dict[str, FlagValue], setting: Setting, value: str) -> None:
    if setting.kind is not Kind.LIST:
        flags[setting.name] = value
        return
    items = flags.setdefault(setting.name, [])
    if isinstance(items, list):
        items.append(value)
