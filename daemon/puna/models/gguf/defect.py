"""What is wrong with a file, in words for the person who chose it."""

from pathlib import Path

from puna.errors import ModelLoadError

MAX_QUOTED_CHARACTERS = 64


class UnusableFileError(Exception):
    """The file cannot be used. The text is a predicate without subject and full stop: `is empty`.

    Inside this package only: `read_header` turns it into a `ModelLoadError` that names the file.
    """


class UnreadableFileError(ModelLoadError):
    """The system does not let the file be read: no fact about its content, and perhaps over the next time."""


def quote(text: str) -> str:
    """Return text from a file, fit for a message: one line, printable, bounded, in quotes."""
    shown = "".join(
        character if character.isprintable() else "?" for character in text[:MAX_QUOTED_CHARACTERS]
    )
    return f"'{shown}…'" if len(text) > MAX_QUOTED_CHARACTERS else f"'{shown}'"


def file_label(path: Path) -> str:
    """Return the name of a file, without its folder and without what a terminal could misread."""
    name = path.name.encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in name)
