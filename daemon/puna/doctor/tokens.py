"""Which tokens are there and where they come from. The tokens themselves are never kept, compared or shown."""

from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

from puna.doctor.finding import Finding, Section, ok, warning
from puna.hub.token import TokenSource

_NGROK_VARIABLE = "NGROK_AUTHTOKEN"
_NOWHERE = Path("/nonexistent/token")
_LIMIT_BYTES = 10_000


class Tokens(Struct, frozen=True, kw_only=True):
    """Where each token comes from, in words; None where there is none."""

    hugging_face: str | None = None
    ngrok: str | None = None
    ngrok_module: str | None = None
    """Version of the module; None where it is not installed."""
    damaged_file: Path | None = None
    """Puna's secret file, where it cannot be understood: then none of its tokens and keys counts."""


class _Secrets(Struct, frozen=True):
    ngrok_token: str = ""


def look_at_tokens(token_file: Path, secrets_file: Path, environ: Mapping[str, str]) -> Tokens:
    """Find out which of the places has a token. Blocks on small files."""
    return Tokens(
        hugging_face=_hugging_face(token_file, secrets_file, environ),
        ngrok=_ngrok(secrets_file, environ),
        ngrok_module=_version_of("ngrok"),
        damaged_file=secrets_file if _is_damaged(secrets_file) else None,
    )


def judge_tokens(tokens: Tokens) -> list[Finding]:
    """Return the lines about tokens. Pure."""
    hub = (
        f"from {tokens.hugging_face}"
        if tokens.hugging_face
        else "none; only gated and private models need one, which `puna login` keeps"
    )
    return [ok(Section.NETWORK, "Hub token", hub), _judge_tunnel(tokens), *_judge_file(tokens.damaged_file)]


def _judge_file(damaged: Path | None) -> list[Finding]:
    if damaged is None:
        return []
    text = f"{damaged} is damaged, so its tokens and the keys of remote models do not count"
    advice = f"Correct {damaged}, which must be JSON, or remove it and keep the token anew: puna login"
    return [warning(Section.NETWORK, "secrets", text, advice)]


def _judge_tunnel(tokens: Tokens) -> Finding:
    module = f"ngrok {tokens.ngrok_module}" if tokens.ngrok_module else "the module ngrok is not installed"
    if tokens.ngrok is None:
        return ok(Section.NETWORK, "tunnel", f"{module}; no token, which only a tunnel needs")
    if tokens.ngrok_module is None:
        text = f"a token from {tokens.ngrok}, but {module}"
        return warning(Section.NETWORK, "tunnel", text, "Install what a tunnel needs: pip install ngrok")
    return ok(Section.NETWORK, "tunnel", f"{module}, with a token from {tokens.ngrok}")


def _hugging_face(token_file: Path, secrets_file: Path, environ: Mapping[str, str]) -> str | None:
    """Ask for the token as downloads do, with one place after the other."""
    if TokenSource(_NOWHERE, _NOWHERE, environ).read():
        return "the environment"
    if TokenSource(token_file, _NOWHERE, {}).read():
        return str(token_file)
    return str(secrets_file) if TokenSource(_NOWHERE, secrets_file, {}).read() else None


def _ngrok(secrets_file: Path, environ: Mapping[str, str]) -> str | None:
    if environ.get(_NGROK_VARIABLE, "").strip():
        return "the environment"
    try:
        with secrets_file.open("rb") as stream:
            secrets = msgspec.json.decode(stream.read(_LIMIT_BYTES), type=_Secrets)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return str(secrets_file) if secrets.ngrok_token.strip() else None


def _is_damaged(file: Path) -> bool:
    try:
        msgspec.json.decode(file.read_bytes(), type=dict[str, object])
    except OSError:
        return False  # it is not there, or the line about its folder says why it cannot be read
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    return False


def _version_of(module: str) -> str | None:
    """Return the version of an installed module without importing it."""
    if find_spec(module) is None:
        return None
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        return "of unknown version"
