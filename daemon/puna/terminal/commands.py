"""What is typed at the prompt: a message, or one of the commands that begin with a slash. Pure."""

import re
from typing import NamedTuple

from msgspec import Struct

from puna.errors import InvalidRequestError
from puna.terminal.lines import to_message

_COMMAND = re.compile(r"/([a-zA-Z]+|\?)(?:\s+(?P<rest>.*))?", re.DOTALL)
"""A slash and one word; `/usr/bin` and `//` begin a message."""


class Say(Struct, frozen=True):
    """Send this to the model."""

    text: str


class SetOption(Struct, frozen=True):
    """Change an option; without a value, show it; without a name, show all."""

    name: str = ""
    value: str = ""


class Show(Struct, frozen=True):
    """Tell model, options and length of the conversation."""


class Save(Struct, frozen=True):
    """Write the conversation to a file."""

    file: str


class Load(Struct, frozen=True):
    """Go on with the conversation of a file."""

    file: str


class Clear(Struct, frozen=True):
    """Forget what was said."""


class ChangeModel(Struct, frozen=True):
    """Go on with another model; without a name, list them."""

    name: str = ""


class Help(Struct, frozen=True):
    """List the commands."""


class Leave(Struct, frozen=True):
    """End the chat."""


Command = Say | SetOption | Show | Save | Load | Clear | ChangeModel | Help | Leave


class HelpLine(NamedTuple):
    """One command in the help."""

    usage: str
    text: str


HELP: tuple[HelpLine, ...] = (
    HelpLine("/set NAME VALUE", "change an option, such as temperature; /set alone shows them"),
    HelpLine("/show", "the model, the options, how long the conversation is"),
    HelpLine("/model NAME", "go on with another model; /model alone lists them"),
    HelpLine("/clear", "forget what was said; options stay"),
    HelpLine("/save FILE", "write the conversation to a file, as JSON"),
    HelpLine("/load FILE", "go on with the conversation of a file"),
    HelpLine("/help", "this list"),
    HelpLine("/bye", "leave; Ctrl-D does the same"),
)
KEYS: tuple[HelpLine, ...] = (
    HelpLine("Ctrl-C", "stop the answer, or empty the line"),
    HelpLine("Up, Down, Ctrl-R", "what was typed before, also in earlier chats"),
    HelpLine("Alt-Enter, or \\ at the end", "a further line of the same message"),
    HelpLine('"""', "around a message of several lines"),
)
NAMES: tuple[str, ...] = tuple(dict.fromkeys(line.usage.split()[0] for line in HELP))
"""The commands, as Tab completes them."""


def parse_command(line: str) -> Command | None:
    """Return what a line means; None for an empty one. Raises `InvalidRequestError` with what to type instead."""
    text = line.strip()
    if not text:
        return None
    found = _COMMAND.fullmatch(text)
    if found is None:
        return Say(to_message(line))
    return _parse(found[1].lower(), (found["rest"] or "").strip())


def _parse(word: str, rest: str) -> Command:
    match word:
        case "set":
            name, *value = rest.split(maxsplit=1) or [""]
            return SetOption(name.lower(), to_message(*value) if value else "")
        case "show":
            return Show()
        case "save":
            return Save(_needed(word, rest))
        case "load":
            return Load(_needed(word, rest))
        case "clear":
            return Clear()
        case "model" | "models":
            return ChangeModel(rest)
        case "help" | "?":
            return Help()
        case "bye" | "exit" | "quit":
            return Leave()
        case _:
            raise InvalidRequestError(f"There is no command /{word}; /help lists them.")


def _needed(word: str, rest: str) -> str:
    if not rest:
        raise InvalidRequestError(f"Type /{word} FILE.")
    return rest
