"""What Tab offers: models for the shell, and commands, options and models at the chat's prompt."""

from collections.abc import Callable, Sequence

from puna.terminal.commands import NAMES
from puna.terminal.options import OPTIONS

_SWITCHES = ("on", "off")
_VALUES: dict[str, tuple[str, ...]] = {
    "think": (*_SWITCHES, "low", "medium", "high"),
    "format": ("text", "json"),
    "markdown": _SWITCHES,
    "show_thinking": _SWITCHES,
    "figures": _SWITCHES,
}


def complete_line(line: str, models: Callable[[], Sequence[str]]) -> list[str]:
    """Return what the last word of a line may become. Only lines that begin with a slash are completed."""
    if not line.startswith("/"):
        return []
    *before, word = line.split(" ")
    match before:
        case []:
            found: Sequence[str] = NAMES
        case ["/set"]:
            found = tuple(OPTIONS)
        case ["/set", name]:
            found = (*_VALUES.get(name, ()), "default")
        case ["/model"]:
            found = models()
        case _:
            found = ()
    return [each for each in found if each.startswith(word)]
