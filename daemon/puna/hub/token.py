"""The Hub's token: where it may come from, in which order, and who gets to see it."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from puna.redaction import conceal

_log = logging.getLogger(__name__)

_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_MAX_FILE_BYTES = 1024 * 1024
"""The secret file may hold the keys of many remote models."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class _Secrets(Struct, frozen=True):
    """Puna's secret file, `secrets.json`, mode 0600; other parts of Puna keep theirs in it too."""

    hugging_face_token: str = ""


class TokenSource:
    """Reads the token anew for each use, so that one that was just saved counts. Blocks on small files."""

    def __init__(self, token_file: Path, secrets_file: Path, environ: Mapping[str, str] = os.environ) -> None:
        """`token_file` is the Hub's own, written by `hf auth login`."""
        self._token_file = token_file
        self._secrets_file = secrets_file
        self._environ = environ

    def read(self) -> str | None:
        """Return the token of the environment, of the Hub's own file or of Puna's, in this order; None without one.

        It is kept out of the log from then on.
        """
        token = self._from_environment() or clean(_text_of(self._token_file)) or self._from_secrets()
        if token:
            conceal(token)
        return token or None

    def _from_environment(self) -> str:
        return next((clean(self._environ[name]) for name in _VARIABLES if self._environ.get(name)), "")

    def _from_secrets(self) -> str:
        text = _text_of(self._secrets_file)
        try:
            return clean(msgspec.json.decode(text or "{}", type=_Secrets).hugging_face_token)
        except msgspec.MsgspecError:
            _log.warning("%s cannot be read: it is no JSON with texts", self._secrets_file.name)
            return ""


def clean(token: str) -> str:
    """Return a token as a header can carry it; empty for what can be none."""
    text = token.strip()
    return text if text.isascii() and text.isprintable() and " " not in text else ""


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES).decode(errors="replace")
    except OSError:
        return ""


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return (
        parts.scheme.lower(),
        (parts.hostname or "").lower(),
        parts.port or _DEFAULT_PORTS.get(parts.scheme),
    )


def headers_for(url: str, endpoint: str, token: str | None) -> dict[str, str]:
    """Return the headers that carry the token, for addresses of the Hub itself and no others."""
    if token and origin_of(url) == origin_of(endpoint):
        return {"Authorization": f"Bearer {token}"}
    return {}
