"""What a dialect is: a name, its routes, its way to say that something failed.

A new one is a folder with a `DIALECT` of this type in its `routes.py`, and one line in `puna.app`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from aiohttp import web

from puna.api.head import RequestHead
from puna.errors import PunaError
from puna.keys.identity import Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Enum):
    """Who may use a dialect. Who does not come from this machine needs a key on every route anyway."""

    KEYED = "keyed"
    """With a key; programs on this machine need none where the setting `open_dialects` names the dialect."""
    THIS_MACHINE = "this machine"
    """Open to programs on this machine, whatever the settings say."""
    ADMIN = "admin"
    """With a key even on this machine, or with the admin token of the endpoint file."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method and path. A GET route answers HEAD too."""

    method: str
    path: str
    """As aiohttp writes them: `{name}`, `{name:regex}`."""
    handler: Handler
    generates: bool = False
    """Whether it asks a model for text; the documented rate limits count these only."""
    scope: Scope | None = Scope.INFER
    """What a key must be good for; None where any valid key will do."""
    is_counted: bool = True
    """Whether it counts as a request in the figures; health checks do not."""
    takes_multipart: bool = False
    """Whether browsers may send `multipart/form-data`, beside JSON."""
    body_limit_bytes: int | None = None
    """A limit of its own; None is the setting `body_limit_bytes`."""


@dataclass(frozen=True, kw_only=True)
class ErrorReply:
    """An error, rendered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


ErrorRenderer = Callable[[PunaError, RequestHead], ErrorReply]
"""Pure. Gets every kind of the tree, and the head of the request that failed."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One API that Puna speaks."""

    name: str
    """As it stands in logs and metrics."""
    access: Access
    routes: tuple[Route, ...]
    prefixes: tuple[str, ...]
    """First parts of its paths, such as `/models`: an unknown path below one fails in this dialect's way."""
    render_error: ErrorRenderer
    tells_timing: bool = False
    """Whether its answers carry `X-Process-Time` and `X-Request-Count`."""


def dialect_of_path(path: str, dialects: tuple[Dialect, ...]) -> Dialect | None:
    """Return the dialect with the longest prefix of the path, whole segments only."""
    owners = [
        (len(prefix), dialect)
        for dialect in dialects
        for prefix in dialect.prefixes
        if path == prefix or path.startswith(prefix.rstrip("/") + "/")
    ]
    return max(owners, key=lambda owner: owner[0])[1] if owners else None
