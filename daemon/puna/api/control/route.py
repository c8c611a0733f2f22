"""How routes of the control API are made: all of them manage, and none counts as a request."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from puna.api.dialect import Handler, Route
from puna.api.validation import BodySchema
from puna.keys.identity import Scope

_NO_QUERY: Mapping[str, str] = MappingProxyType({})


def control_route(
    method: str,
    path: str,
    handler: Handler,
    reply: object,
    *,
    body: BodySchema[Any] | None = None,
    status: int = 200,
    stream_type: str | None = None,
    query: Mapping[str, str] = _NO_QUERY,
) -> Route:
    """Return a route for who may manage; the fields are those of `Route`."""
    return Route(
        method=method,
        path=path,
        handler=handler,
        is_counted=False,
        scope=Scope.MANAGE,
        body=body,
        reply=reply,
        status=status,
        stream_type=stream_type,
        query=query,
    )
