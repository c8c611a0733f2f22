"""Models that run elsewhere: any engine that speaks OpenAI's API."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from puna.domain.model_kind import ModelKind

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/+-]*$"
_HAS_NO_SPACE = re.compile(r"^[!-~]+$")

Seconds = Annotated[float, Meta(ge=0.1, le=86_400)]


class RemoteModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of an engine, under the name that it has here. It holds no secret, so it may be shown."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN, max_length=200)]
    """What requests call it."""
    url: Annotated[str, Meta(max_length=2000)]
    """The engine's address, as OpenAI's clients take it: `http://gpu-box:8000/v1`."""
    model: Annotated[str, Meta(max_length=500)] = ""
    """What the engine calls it; empty is the only model that the engine has."""
    kind: ModelKind = ModelKind.TEXT
    key_variable: Annotated[str, Meta(max_length=200)] = ""
    """The environment variable with the engine's key; without it the key may stand in the secret file."""
    slots: Annotated[int, Meta(ge=1, le=1024)] = 16
    """Requests that the engine gets at the same time; more of them wait here."""
    context_length: Annotated[int, Meta(ge=0, le=16_777_216)] = 0
    """Tokens of one request; 0 is what the engine says."""
    can_think: bool = False
    """Whether requests may ask it to think, where a dialect has to know."""
    can_call_tools: bool = True
    """Whether it is listed as one that calls tools."""
    can_infill: bool = False
    """Whether it fills gaps in a text."""
    connect_timeout_s: Seconds = 10.0
    first_event_timeout_s: Seconds = 600.0
    """Until the answer begins: waiting in the engine's queue and reading the prompt count."""
    stall_timeout_s: Seconds = 120.0
    """Between two events of an answer."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for an address that is none, or has a secret in it."""
        _check_url(self.url)

    def __str__(self) -> str:
        """Return the short form of the settings, `name=url model=... slots=...`, which says what is not default."""
        others = (
            f"{field}={_show(getattr(self, field))}"
            for field in self.__struct_fields__
            if field not in {"name", "url"} and getattr(self, field) != _DEFAULTS[field]
        )
        return " ".join((f"{self.name}={self.url}", *others))

    @property
    def base_url(self) -> str:
        """The address without a slash at its end; `/v1` is added where it has no path at all."""
        url = self.url.rstrip("/")
        return url if urlsplit(url).path else f"{url}/v1"

    @property
    def origin(self) -> str:
        """The address as messages name it: scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


_DEFAULTS: dict[str, object] = dict(
    zip(RemoteModel.__struct_fields__[2:], RemoteModel.__struct_defaults__, strict=True)
)


def _check_url(url: str) -> None:
    parts = urlsplit(url) if _HAS_NO_SPACE.match(url) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("url must be an address such as http://gpu-box:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not have a user or a password in it: the key goes into key_variable")
    if parts.query or parts.fragment:
        raise ValueError("url must end with its path: what follows ? or # is not passed on")
    _ = parts.port


def _show(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return str(value)
