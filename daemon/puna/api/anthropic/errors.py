"""How Anthropic says that something failed."""

from puna.api.anthropic.replies import ErrorBody, ErrorDetails, ErrorObject
from puna.api.dialect import ErrorReply
from puna.api.encoding import encode_json
from puna.api.errors import STATUS_OF_KIND, headers_of_error
from puna.api.head import RequestHead
from puna.errors import ErrorKind, InvalidRequestError, PunaError

_STATUS = STATUS_OF_KIND | {
    ErrorKind.CONTEXT_OVERFLOW: 400,
    ErrorKind.OVERLOADED: 529,
    ErrorKind.GENERATION_FAILED: 422,
}
"""529 is Anthropic's own, and tried again like every 5xx; a text that failed would only fail again."""
_IN_VAIN = frozenset({ErrorKind.GENERATION_TIMEOUT, ErrorKind.MODEL_LOAD_FAILED, ErrorKind.INTERNAL})
"""Failures with a 5xx that come again when the request does."""
_TYPES: dict[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_PREFIXES: dict[ErrorKind, str] = {
    ErrorKind.MODEL_NOT_FOUND: "model: ",
    ErrorKind.CONTEXT_OVERFLOW: "prompt is too long: ",
}
"""Words that agents look for, to offer other models and to shorten the conversation."""

_ROUTES = (
    "here are POST /v1/messages and /v1/messages/count_tokens, and no batches: send each message by itself."
)
_MESSAGES: dict[ErrorKind, str] = {
    ErrorKind.ROUTE_NOT_FOUND: f"There is no such path: {_ROUTES}",
    ErrorKind.METHOD_NOT_ALLOWED: f"This path does not take this method: {_ROUTES}",
}


class ThreadUnsupportedError(InvalidRequestError):
    """The request wants its conversation to be kept. SDKs know the code, and send all of it without a thread."""

    error_code = "thread_unsupported_request"


def render_error(error: PunaError, head: RequestHead) -> ErrorReply:
    """Render an error; SDKs are told where it is useless to try again."""
    headers = headers_of_error(error)
    if error.kind in _IN_VAIN:
        headers["x-should-retry"] = "false"
    body = encode_json(to_error_body(error, head.request_id))
    return ErrorReply(status=_STATUS[error.kind], body=body, headers=headers)


def to_error_body(error: PunaError, request_id: str) -> ErrorBody:
    """Return what failed, also as the event in the middle of a stream."""
    message = _MESSAGES.get(error.kind) or _PREFIXES.get(error.kind, "") + (error.message or "Unknown error.")
    type_ = _TYPES.get(_STATUS[error.kind], "invalid_request_error")
    details = ErrorDetails(error.error_code) if isinstance(error, ThreadUnsupportedError) else None
    return ErrorBody(error=ErrorObject(type_, message, details), request_id=request_id, detail=message)
