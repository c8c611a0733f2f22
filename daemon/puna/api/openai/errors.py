"""How OpenAI says that something failed."""

from msgspec.structs import replace

from puna.api.dialect import ErrorReply
from puna.api.encoding import encode_json
from puna.api.errors import STATUS_OF_KIND, headers_of_error
from puna.api.head import RequestHead
from puna.api.openai.error_replies import ErrorBody, ErrorEvent, ErrorObject, SharedErrorBody
from puna.api.openai.events import to_event
from puna.errors import ErrorKind, InvalidRequestError, PunaError

MODELS_PATH = "/v1/models"
"""Where Anthropic's clients ask, too."""

BARE_PATHS = ("/chat/completions", "/completions", "/embeddings", "/responses")
"""Where clients ask whose base address lacks the `/v1`."""

_STATUS = STATUS_OF_KIND | {ErrorKind.CONTEXT_OVERFLOW: 400, ErrorKind.GENERATION_FAILED: 422}
"""A text that failed is no 5xx: clients would ask twice more, and get the same."""
_IN_VAIN = frozenset({ErrorKind.GENERATION_TIMEOUT, ErrorKind.MODEL_LOAD_FAILED, ErrorKind.INTERNAL})
"""Failures with a 5xx that come again when the request does."""
_FIRST_SERVER_ERROR = 500
_UNKNOWN = "Unknown error."
_MAX_PATH = 100

_CODES: dict[ErrorKind, str] = {
    ErrorKind.UNAUTHENTICATED: "invalid_api_key",
    ErrorKind.FORBIDDEN: "insufficient_permissions",
    ErrorKind.ROUTE_NOT_FOUND: "unknown_url",
    ErrorKind.METHOD_NOT_ALLOWED: "method_not_supported",
    ErrorKind.MODEL_NOT_FOUND: "model_not_found",
    ErrorKind.NO_MODEL_LOADED: "no_model_loaded",
    ErrorKind.BODY_TOO_LARGE: "request_too_large",
    ErrorKind.CONTEXT_OVERFLOW: "context_length_exceeded",
    ErrorKind.RATE_LIMITED: "rate_limit_exceeded",
    ErrorKind.OVERLOADED: "overloaded",
    ErrorKind.GENERATION_TIMEOUT: "timeout",
    ErrorKind.GENERATION_FAILED: "generation_failed",
    ErrorKind.MODEL_LOAD_FAILED: "model_load_failed",
    ErrorKind.WORKER_DIED: "worker_died",
}
_PARAMS: dict[ErrorKind, str] = {ErrorKind.MODEL_NOT_FOUND: "model", ErrorKind.NO_MODEL_LOADED: "model"}
"""The field where the error names none."""
_ANTHROPIC_TYPES: dict[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class CodedRequestError(InvalidRequestError):
    """A request that is wrong in a way for which OpenAI has a code of its own."""

    def __init__(self, message: str, *, field: str, code: str) -> None:
        super().__init__(message, field=field)
        self.code = code


def render_error(error: PunaError, head: RequestHead) -> ErrorReply:
    """Render an error; on the path that Anthropic's clients share it is readable for them."""
    failure = replace(to_error(error), message=_message_of(error, head))
    if _is_shared(head):
        body = encode_json(_to_shared_body(failure, _STATUS[error.kind], head))
    else:
        body = encode_json(ErrorBody(failure, failure.message))
    return ErrorReply(status=_STATUS[error.kind], body=body, headers=_headers_of(error))


def to_error(error: PunaError) -> ErrorObject:
    """Return what failed."""
    return ErrorObject(
        message=error.message or _UNKNOWN,
        type=_type_of(error.kind),
        param=error.field or _PARAMS.get(error.kind),
        code=error.code if isinstance(error, CodedRequestError) else _CODES.get(error.kind),
    )


def encode_error_event(error: PunaError) -> bytes:
    """Return the event that ends a stream of chunks; clients raise it, and read no further."""
    return to_event(encode_json(ErrorEvent(to_error(error))))


def _message_of(error: PunaError, head: RequestHead) -> str:
    """Return the message. OpenAI has many more routes than there are here: who asks for one learns where to look."""
    match error.kind:
        case ErrorKind.ROUTE_NOT_FOUND:
            return _describe_miss(head.path[:_MAX_PATH])
        case ErrorKind.METHOD_NOT_ALLOWED:
            path = head.path[:_MAX_PATH]
            return f"{path} does not take {head.method}; /docs shows all that Puna serves."
        case _:
            return error.message or _UNKNOWN


def _describe_miss(path: str) -> str:
    """Return what to do about a path that is none. Most often the program has a base address that is not ours."""
    if path.startswith(BARE_PATHS):
        return f"There is no {path} here, but /v1{path}: give your program a base address that ends in /v1."
    if path.startswith("/v1/v1/"):
        return f"There is no {path} here: give your program a base address without /v1."
    return f"There is no {path} here; /docs shows all that Puna serves."


def _type_of(kind: ErrorKind) -> str:
    if kind is ErrorKind.RATE_LIMITED:
        return "rate_limit_error"
    return "server_error" if _STATUS[kind] >= _FIRST_SERVER_ERROR else "invalid_request_error"


def _is_shared(head: RequestHead) -> bool:
    return head.path == MODELS_PATH or head.path.startswith(MODELS_PATH + "/")


def _to_shared_body(failure: ErrorObject, status: int, head: RequestHead) -> SharedErrorBody:
    type_ = failure.type
    if head.header("anthropic-version") is not None:
        type_ = _ANTHROPIC_TYPES.get(
            status, "api_error" if status >= _FIRST_SERVER_ERROR else "invalid_request_error"
        )
    shown = ErrorObject(failure.message, type_, failure.param, failure.code)
    return SharedErrorBody(shown, failure.message)


def _headers_of(error: PunaError) -> dict[str, str]:
    """What HTTP asks for, and the header by which OpenAI tells its clients not to try again."""
    headers = headers_of_error(error)
    return headers | {"x-should-retry": "false"} if error.kind in _IN_VAIN else headers
