"""`puna completion`: the script for a shell, and what it gets when Tab is pressed."""

import contextlib
import io
import os
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from puna.cli.shell_words import COMPLETION_VARIABLE, without_cut, words_in


class Shell(StrEnum):
    """The shells."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


_HELP = """

Completes commands, options and the names of models, which the running daemon tells. Changes no file: put the
script where your shell looks for it, once, and open a new terminal.

\b
bash, with the package bash-completion:
  mkdir -p ~/.local/share/bash-completion/completions
  puna completion bash > ~/.local/share/bash-completion/completions/puna

\b
zsh, and in ~/.zshrc:  fpath+=~/.zfunc; autoload -Uz compinit; compinit
  mkdir -p ~/.zfunc
  puna completion zsh > ~/.zfunc/_puna

\b
fish:
  mkdir -p ~/.config/fish/completions
  puna completion fish > ~/.config/fish/completions/puna.fish

\b
PowerShell:
  puna completion powershell >> $PROFILE
"""


_ZSH_FIRST_TAB = """
if [[ $funcstack[1] = _puna ]]; then _puna_completion "$@"; fi
"""
"""At the first Tab zsh runs the file itself, which only defines what later ones call."""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("completion", help=summary + _HELP)(_command)


def _command(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="Which shell.")]) -> None:
    typer.echo(script_for(shell))


def script_for(shell: Shell) -> str:
    """Return the script that a shell runs or sources."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # typer imports it there

    script = get_completion_script(prog_name="puna", complete_var=COMPLETION_VARIABLE, shell=shell.value)
    return script + _ZSH_FIRST_TAB if shell is Shell.ZSH else script


def complete(build_app: Callable[[str], typer.Typer]) -> int:
    """Answer a shell that completes, with the command loaded that stands in its line; return the exit code.

    Says nothing but what is offered: an error would end up in the line that is being typed.
    """
    from typer.completion import completion_init  # type: ignore[attr-defined] # typer imports it there

    words = words_in(os.environ)
    os.environ.update(words.environ)
    completion_init()
    offers = io.StringIO()
    try:
        with contextlib.redirect_stdout(offers), contextlib.redirect_stderr(io.StringIO()):
            build_app(words.command)([], prog_name="puna")
    except SystemExit as exit_:
        print(without_cut(offers.getvalue(), words.cut))
        return exit_.code if isinstance(exit_.code, int) else 0
    except Exception:  # noqa: BLE001 - see above
        return 1
    return 0
