"""`puna login`: keep the token of the Hugging Face Hub."""

import os
import sys

import typer

from puna.cli.hub_token import keep_token, older_places, settings_page
from puna.cli.outcome import complain, say
from puna.errors import InvalidRequestError
from puna.hub.token import clean
from puna.paths import Paths

_LONGEST = 1000
_HELP = """

Gated and private models need a token of yours. Make one that may read, on the Hub's page Settings, Access Tokens;
where a model has a licence, accept that on the model's page. The token is asked for without being shown, or read
from a pipe. It is kept in a file that only you can read, sent to the Hub and to nobody else, and used from the next
download on. `puna logout` removes it.

\b
Examples:
  puna login
  puna login < token.txt
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("login", help=summary + _HELP)(_command)


def _command() -> None:
    paths = Paths.for_user()
    keep_token(paths.secrets_file, read_token(settings_page(paths, os.environ)))
    say(f"The token is kept in {paths.secrets_file}; `puna logout` removes it.")
    for place in older_places(paths, os.environ):
        complain(f"{place} has a token too, which is used before this one; remove it there.")


def read_token(page: str) -> str:
    """Return the token that is typed or piped in. Raises `InvalidRequestError` for what can be none."""
    given = _ask(page) if sys.stdin.isatty() else sys.stdin.read(_LONGEST + 1)
    token = clean(given)
    if not token or len(given) > _LONGEST:
        raise InvalidRequestError(
            f"That is no token: it is one word of letters and digits, which {page} shows once. Nothing is changed."
        )
    return token


def _ask(page: str) -> str:
    from getpass import getpass

    say(f"A token for reading is made at {page}")
    try:
        return getpass("Token (it is not shown): ")
    except EOFError:
        return ""
