"""How each API says that something failed: every kind of error, rendered as it does."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from puna.api.description.docstrings import class_doc
from puna.api.dialect import Dialect, ErrorReply, Route
from puna.api.head import RequestHead, make_headers
from puna.errors import (
    BodyTooLargeError,
    ContextOverflowError,
    ForbiddenError,
    GenerationError,
    GenerationTimeoutError,
    InvalidRequestError,
    ModelLoadError,
    ModelNotFoundError,
    NoModelLoadedError,
    NotFoundError,
    OverloadedError,
    PunaError,
    RateLimitedError,
    UnauthenticatedError,
    UnsupportedMediaTypeError,
    WorkerDiedError,
)

_EVERYWHERE = (
    UnauthenticatedError("This API needs a key, as a bearer token or in X-Api-Key."),
    ForbiddenError("This needs a key with the scope manage; this one has infer."),
    PunaError("Internal error; see `puna logs` (id 5f3a9c10)."),
)
_WITH_BODY = (
    InvalidRequestError("`temperature` must be a number from 0 to 2.", field="temperature"),
    BodyTooLargeError("The body is too large: the limit is 16777216 bytes."),
    UnsupportedMediaTypeError("A request from a web page needs the content type application/json, not none."),
)
_NAMING_THINGS = (NotFoundError("There is no such thing."), ModelNotFoundError("There is no model x."))
_GENERATING = (
    ModelNotFoundError("There is no model x."),
    NoModelLoadedError("No model is loaded, and the request names none."),
    ContextOverflowError("The prompt has 4000 tokens, and the context 2048."),
    RateLimitedError("Rate limit exceeded", retry_after_s=1),
    OverloadedError("Too many requests wait for this model.", retry_after_s=1),
    GenerationTimeoutError("Nothing came from the model within 600 seconds."),
    GenerationError("The chat template of the model refuses this conversation."),
    ModelLoadError("The file cannot be run."),
    WorkerDiedError("The worker ended with signal 9."),
)
_SAMPLE_REQUEST_ID = "req_5f3a9c1083b7d2e64a0f91c7"
_INTERNAL = "Something that nobody expected; the log has it under the id."


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One status of one API."""

    status: int
    description: str
    """All that it can mean."""
    body: object
    """An example, decoded."""


def failures_of(dialect: Dialect, route: Route) -> dict[int, Failure]:
    """Return every status with which the API can fail, as it stands at this route."""
    replies: dict[int, list[tuple[PunaError, ErrorReply]]] = {}
    for error in (*_EVERYWHERE, *_WITH_BODY, *_NAMING_THINGS, *_GENERATING):
        reply = dialect.render_error(error, _head_of(route))
        replies.setdefault(reply.status, []).append((error, reply))
    return {status: _to_failure(status, replies[status]) for status in sorted(replies)}


def statuses_of(dialect: Dialect, route: Route) -> list[int]:
    """Return those with which this route fails, in their order."""
    errors = _errors_of(route)
    return sorted({dialect.render_error(error, _head_of(route)).status for error in errors})


def _errors_of(route: Route) -> Iterable[PunaError]:
    yield from _EVERYWHERE
    if route.body is not None:
        yield from _WITH_BODY
    if route.body is not None or "{" in route.path:
        yield from _NAMING_THINGS
    if route.generates:
        yield from _GENERATING


def _head_of(route: Route) -> RequestHead:
    return RequestHead(
        method=route.method, path=route.path, headers=make_headers({}), request_id=_SAMPLE_REQUEST_ID
    )


def _to_failure(status: int, replies: list[tuple[PunaError, ErrorReply]]) -> Failure:
    meanings = dict.fromkeys(_meaning_of(error) for error, _ in replies)
    return Failure(status=status, description=" ".join(meanings), body=json.loads(replies[0][1].body))


def _meaning_of(error: PunaError) -> str:
    return _INTERNAL if type(error) is PunaError else class_doc(type(error)).partition("\n")[0]
