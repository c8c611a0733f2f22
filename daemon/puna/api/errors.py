"""Errors at the HTTP border: foreign ones become ours here, and each kind has its usual status."""

import logging
import math
import secrets

from aiohttp import ClientError, web
from aiohttp.web_protocol import RequestPayloadError

from puna.api.dialect import ErrorReply
from puna.api.encoding import encode_json
from puna.api.head import RequestHead
from puna.errors import (
    BodyTooLargeError,
    DaemonError,
    EngineUnusableError,
    ErrorKind,
    InvalidRequestError,
    MethodNotAllowedError,
    PunaError,
    RouteNotFoundError,
)

_log = logging.getLogger(__name__)

STATUS_OF_KIND: dict[ErrorKind, int] = {
    ErrorKind.INVALID_REQUEST: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.ROUTE_NOT_FOUND: 404,
    ErrorKind.METHOD_NOT_ALLOWED: 405,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.MODEL_NOT_FOUND: 404,
    ErrorKind.NO_MODEL_LOADED: 400,
    ErrorKind.BODY_TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorKind.CONTEXT_OVERFLOW: 413,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.OVERLOADED: 503,
    ErrorKind.GENERATION_TIMEOUT: 504,
    ErrorKind.GENERATION_FAILED: 500,
    ErrorKind.MODEL_LOAD_FAILED: 500,
    ErrorKind.WORKER_DIED: 500,
    ErrorKind.INTERNAL: 500,
}
"""The usual status of each kind; a dialect whose document says otherwise overrides single ones."""

_RETRY_AFTER_S = 1
"""Where the error does not say when to try again."""


def translate_error(error: Exception) -> PunaError:
    """Return the error of our tree for any exception; what nobody expected is logged under an id.

    So are errors about the daemon itself: their sentences are for its owner and name folders of this machine.
    """
    match error:
        case DaemonError() if not isinstance(error, EngineUnusableError):
            return _internal_error(error)
        case PunaError():
            return error
        case web.HTTPNotFound():
            return RouteNotFoundError("Not Found")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowedError("Method Not Allowed", frozenset(error.allowed_methods))
        case web.HTTPRequestEntityTooLarge():
            return BodyTooLargeError("The body is too large.")
        case web.HTTPClientError():
            return InvalidRequestError(f"The request cannot be read: {error.reason}.")
        case RequestPayloadError() | ClientError():
            return InvalidRequestError(
                "The body cannot be read: it is cut short, or not encoded as its headers say."
            )
        case _:
            return _internal_error(error)


def headers_of_error(error: PunaError) -> dict[str, str]:
    """Return the headers that HTTP asks for with this error."""
    match error:
        case MethodNotAllowedError():
            return {"Allow": ", ".join(sorted(error.allowed))}
        case PunaError(kind=ErrorKind.UNAUTHENTICATED):
            return {"WWW-Authenticate": "Bearer"}
        case PunaError(kind=ErrorKind.RATE_LIMITED | ErrorKind.OVERLOADED):
            return {"Retry-After": str(math.ceil(error.retry_after_s or _RETRY_AFTER_S))}
        case _:
            return {}


def render_default_error(error: PunaError, _: RequestHead) -> ErrorReply:
    """Render an error for a path that no dialect owns: `detail` and `error`, which most clients look for."""
    return ErrorReply(
        status=STATUS_OF_KIND[error.kind],
        body=encode_json({"detail": error.message, "error": error.message}),
        headers=headers_of_error(error),
    )


def _internal_error(error: Exception) -> PunaError:
    error_id = secrets.token_hex(4)
    _log.error("internal error (id %s)", error_id, exc_info=error)
    return PunaError(f"Internal error; see `puna logs` (id {error_id}).")
