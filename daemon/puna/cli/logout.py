"""`puna logout`: forget the token of the Hugging Face Hub."""

import os

import typer

from puna.cli.hub_token import forget_token, older_places
from puna.cli.outcome import complain, say
from puna.paths import Paths

_HELP = """

Removes what `puna login` has kept. The token itself holds until it is deleted on the Hub's page Settings, Access
Tokens.

\b
Examples:
  puna logout
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("logout", help=summary + _HELP)(_command)


def _command() -> None:
    paths = Paths.for_user()
    is_removed = forget_token(paths.secrets_file)
    say(f"The token is removed from {paths.secrets_file}." if is_removed else "Puna has kept no token.")
    for place in older_places(paths, os.environ):
        complain(f"{place} still has a token, which is used.")
