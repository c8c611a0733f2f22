"""One request and its answer under way: what the log line, the counters and the headers tell about it."""

import time
from dataclasses import dataclass, field

from aiohttp import web

from puna.api.dialect import Dialect, Route
from puna.api.head import RequestHead
from puna.domain.generation import Usage
from puna.errors import PunaError
from puna.keys.identity import NOBODY, Identity


@dataclass(kw_only=True)
class Exchange:
    """Made by the middleware for each request; handlers add what they learn."""

    head: RequestHead
    dialect: Dialect
    route: Route | None
    """None when no route has the path, or not for this method."""
    body_limit_bytes: int
    number: int
    """How many requests the daemon has begun, this one included."""
    early_body: bytes | None = None
    """The body, where it was read before the handler asks for it: it told whose request this is."""
    held_body_bytes: int = 0
    """What the body takes of `puna.api.body.BodyRoom`."""
    identity: Identity = NOBODY
    """Who sent it; set before the handler runs."""
    allowed_origin: str | None = None
    """The page that sent the request and may read the answer, as its browser names it."""
    usage: Usage = field(default_factory=Usage)
    is_complete: bool = False
    """Whether the last event of a stream was made: a client that leaves after it has all it wanted."""
    has_left: bool = False
    """Whether a stream could not be written any more: its client is gone, or does not read."""
    stream_error: PunaError | None = None
    """What ended a stream whose status was already sent."""
    _started: float = field(default_factory=time.monotonic)

    @property
    def duration_s(self) -> float:
        """Seconds since the head of the request was read."""
        return time.monotonic() - self._started

    def add_usage(self, usage: Usage) -> None:
        """Note what a text of this request cost."""
        self.usage += usage


_EXCHANGE = web.RequestKey("exchange", Exchange)


def begin_exchange(request: web.Request, exchange: Exchange) -> None:
    """Attach the exchange to its request."""
    request[_EXCHANGE] = exchange


def exchange_of(request: web.Request) -> Exchange:
    """Return the exchange of a request that the middleware has seen."""
    return request[_EXCHANGE]


def find_exchange(request: web.Request) -> Exchange | None:
    """Return the exchange, or None for a request that failed before the middleware."""
    return request.get(_EXCHANGE)
