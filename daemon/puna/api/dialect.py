"""What a dialect is: a name, its routes, its way to say that something failed.

A new one is a folder with a `DIALECT` of this type in its `routes.py`, and one line in `puna.app`.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

from puna.api.head import RequestHead
from puna.api.validation import BodySchema
from puna.errors import PunaError
from puna.keys.identity import Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Claims = Callable[[RequestHead, Collection[str]], bool]
"""Pure. Whether a request is a dialect's own, by its head and the names of the fields in its body."""


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
    body: BodySchema[Any] | None = None
    """What it reads; None where it reads no body. The API's description is made from it."""
    reply: object | None = None
    """The type of its whole answer, for the API's description; None where that is not JSON, or has no fixed form."""
    stream_type: str | None = None
    """The content type of its streamed answer, where it has one."""
    status: int = 200
    """Of its whole answer, for the API's description."""
    query: Mapping[str, str] = field(default_factory=dict)
    """What its query may have, for the API's description: each name, and a sentence. All are optional strings."""
    claims: Claims | None = None
    """Set where method and path belong to another dialect: which of the requests are this one's.

    Access, limits, errors and figures then follow the dialect whose request it is. Until the body has told,
    a sender passes whom any of the dialects lets in.
    """


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
    has_comments: bool = False
    """Whether its clients skip comments in event streams, so that one can come while a model is silent for long."""
    request_id_header: str | None = None
    """The header of its answers that tells `RequestHead.request_id`; None for none."""
    key_variable: str | None = None
    """The environment variable from which its own clients take a key; None where there is none."""
    title: str = ""
    """Its name as people write it; empty is `name`."""
    summary: str = ""
    """A sentence on it for the API's description."""


def dialect_of_path(path: str, dialects: tuple[Dialect, ...]) -> Dialect | None:
    """Return the dialect with the longest prefix of the path, whole segments only."""
    owners = [
        (len(prefix), dialect)
        for dialect in dialects
        for prefix in dialect.prefixes
        if path == prefix or path.startswith(prefix.rstrip("/") + "/")
    ]
    return max(owners, key=lambda owner: owner[0])[1] if owners else None
