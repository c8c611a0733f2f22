"""The Hub's token in Puna's secret file, beside what other parts of Puna keep there."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from puna.config import load
from puna.errors import StoreError
from puna.files import make_private_folder, write_private
from puna.hub.places import HubPlaces, chosen, places_in
from puna.hub.token import TokenSource
from puna.paths import Paths

_FIELD = "hugging_face_token"
_NOWHERE = Path("/nonexistent/token")


def keep_token(file: Path, token: str) -> None:
    """Put a token into the file (mode 0600), in one step. Raises `StoreError`, `DaemonError`."""
    _write(file, {**_read(file), _FIELD: token})


def forget_token(file: Path) -> bool:
    """Take the token out of the file, and return whether there was one. Raises `StoreError`, `DaemonError`."""
    secrets = _read(file)
    if not secrets.pop(_FIELD, None):
        return False
    if secrets:
        _write(file, secrets)
    else:
        file.unlink(missing_ok=True)
    return True


def older_places(paths: Paths, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the places with a token that comes before the one in Puna's file, for people."""
    if TokenSource(_NOWHERE, _NOWHERE, environ).read():
        yield "The environment (HF_TOKEN)"
    hub_file = _hub_places(paths, environ).token_file
    if TokenSource(hub_file, _NOWHERE, {}).read():
        yield f"{hub_file}, which `hf auth login` writes,"


def settings_page(paths: Paths, environ: Mapping[str, str]) -> str:
    """Return the page of the Hub on which tokens are made."""
    return f"{_hub_places(paths, environ).endpoint}/settings/tokens"


def _hub_places(paths: Paths, environ: Mapping[str, str]) -> HubPlaces:
    settings = load(paths.config_file, environ).settings
    return chosen(
        places_in(environ),
        endpoint=settings.hub_endpoint,
        cache=settings.hub_cache,
        token_file=settings.hub_token_file,
        is_offline=settings.offline,
    )


def _read(file: Path) -> dict[str, object]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, object])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror}); make it yours.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} is damaged; correct it, or remove it and log in again.") from error


def _write(file: Path, secrets: Mapping[str, object]) -> None:
    make_private_folder(file.parent)
    try:
        write_private(file, msgspec.json.format(msgspec.json.encode(secrets), indent=2) + b"\n")
    except OSError as error:
        raise StoreError(
            f"{file} cannot be written ({error.strerror}); make room, or set PUNA_HOME."
        ) from error
