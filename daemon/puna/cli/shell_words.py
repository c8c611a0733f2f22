"""What a shell tells of the line that is being completed. Pure."""

import shlex
from collections.abc import Mapping

from msgspec import Struct

COMPLETION_VARIABLE = "_PUNA_COMPLETE"
"""Set by the scripts of `puna completion`; typer reads it, and the variables beside it."""
_BASH = "complete_bash"
_BREAK = ":"


class ShellWords(Struct, frozen=True):
    """The line so far."""

    words: tuple[str, ...]
    """`puna` first."""
    cut: str = ""
    """What bash takes for finished and leaves out of what it replaces: `llama3.2:` of `llama3.2:1b`."""
    environ: dict[str, str] = {}
    """What typer should read instead."""

    @property
    def command(self) -> str:
        """The command, or the beginning of one."""
        return self.words[1] if len(self.words) > 1 else ""


def words_in(environ: Mapping[str, str]) -> ShellWords:
    """Return the line. Words that bash broke at colons, as in names of models, are put together again."""
    if environ.get(COMPLETION_VARIABLE) != _BASH:
        return ShellWords(tuple(environ.get("_TYPER_COMPLETE_ARGS", "").split()))
    given = environ.get("COMP_WORDS", "").split("\n")
    cursor = int(environ.get("COMP_CWORD") or 0)
    words = _joined(given[: cursor + 1] if cursor < len(given) else [*given, ""])
    last = words[-1] if words else ""
    cut = last[: last.rfind(_BREAK) + 1] if _BREAK in last else ""
    replaced = {"COMP_WORDS": "\n".join(map(shlex.quote, words)), "COMP_CWORD": str(len(words) - 1)}
    return ShellWords(tuple(words), cut, replaced)


def without_cut(offers: str, cut: str) -> str:
    """Return what is offered, one a line, as bash inserts it."""
    return "\n".join(line.removeprefix(cut) for line in offers.splitlines())


def _joined(words: list[str]) -> list[str]:
    joined: list[str] = []
    is_open = False
    for word in words:
        if joined and (word == _BREAK or is_open):
            joined[-1] += word
        else:
            joined.append(word)
        is_open = word == _BREAK
    return joined
