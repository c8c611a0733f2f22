"""What Tab offers at the chat's prompt: commands, options, models and files."""

from collections.abc import Callable, Sequence

from puna.errors import InvalidRequestError
from puna.terminal.commands import NAMES
from puna.terminal.options import OPTIONS
from puna.terminal.saved import file_of

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
        case ["/save" | "/load"]:
            return files_at(word)
        case ["/set", "format"]:
            return [each for each in (*_VALUES["format"], "default") if each.startswith(word)] + files_at(
                word
            )
        case ["/set", name]:
            found = (*_VALUES.get(name, ()), "default")
        case ["/model"]:
            found = models()
        case _:
            found = ()
    return [each for each in found if each.startswith(word)]


def files_at(begun: str) -> list[str]:
    """Return the files and folders whose paths begin so, as they are typed; hidden ones only when asked for."""
    folder = begun[: begun.rfind("/") + 1]
    name = begun.removeprefix(folder)
    try:
        found = [each for each in file_of(folder or ".").iterdir() if each.name.startswith(name)]
        shown = [each for each in found if name.startswith(".") or not each.name.startswith(".")]
        return sorted(f"{folder}{each.name}{'/' if each.is_dir() else ''}" for each in shown)
    except (OSError, InvalidRequestError):
        return []
