"""Where the Hub's own tools keep things on this machine, and which Hub they mean: pure, from the environment.

The same rules as `huggingface_hub.constants`, without its import, which reads the environment once and for all.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

DEFAULT_ENDPOINT = "https://huggingface.co"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


class HubPlaces(Struct, frozen=True, kw_only=True):
    """The cache that is shared with other tools, the token file, and the address of the Hub."""

    cache: Path
    token_file: Path
    endpoint: str = DEFAULT_ENDPOINT
    is_offline: bool = False


def places_in(environ: Mapping[str, str] = os.environ) -> HubPlaces:
    """Return what the variables HF_HOME, HF_HUB_CACHE, HF_TOKEN_PATH, HF_ENDPOINT and HF_HUB_OFFLINE say."""
    user_cache = environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    home = _path(environ.get("HF_HOME") or str(Path(user_cache) / "huggingface"))
    cache = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    token_file = environ.get("HF_TOKEN_PATH")
    return HubPlaces(
        cache=_path(cache) if cache else home / "hub",
        token_file=_path(token_file) if token_file else home / "token",
        endpoint=(environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/"),
        is_offline=any(
            environ.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        ),
    )


def chosen(
    places: HubPlaces,
    *,
    endpoint: str | None,
    cache: Path | None,
    token_file: Path | None,
    is_offline: bool,
) -> HubPlaces:
    """Return the places with what the settings say instead; None leaves one as it is."""
    return HubPlaces(
        cache=cache or places.cache,
        token_file=token_file or places.token_file,
        endpoint=(endpoint or places.endpoint).rstrip("/"),
        is_offline=is_offline or places.is_offline,
    )


def _path(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser().absolute()
