"""Settings as text: how environment and flags write them, and how they are shown."""

import os
from pathlib import Path

from puna.config.definitions import Kind, Setting, Value

_SWITCH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def list_separator(setting: Setting) -> str:
    """Return what stands between the items of a list in a variable: as in PATH for folders, else a comma."""
    return os.pathsep if setting.name.endswith("_folders") else ","


def parse(setting: Setting, text: str) -> object:
    """Return the value that a text means, range not checked; text that means none comes back as it is."""
    stripped = text.strip()
    match setting.kind:
        case Kind.LIST:
            return [item.strip() for item in text.split(list_separator(setting)) if item.strip()]
        case Kind.SWITCH:
            return _SWITCH.get(stripped.lower(), text)
        case Kind.INTEGER:
            return _number(stripped, int)
        case Kind.NUMBER:
            return _number(stripped, float)
        case Kind.CHOICE:
            return stripped.lower()
        case _:
            return stripped


def _number(text: str, number: type[int] | type[float]) -> object:
    try:
        return number(text)
    except ValueError:
        return "auto" if text.lower() == "auto" else text


def show(value: Value) -> str:
    """Return a value as people read it, and as `parse` takes it back."""
    match value:
        case None:
            return "auto"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            separator = os.pathsep if any(isinstance(item, Path) for item in value) else ","
            return separator.join(map(str, value))
        case _:
            return str(value)
