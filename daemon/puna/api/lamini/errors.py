"""How Lamini says that something failed: `detail`, and statuses that its clients turn into exceptions."""

from puna.api.claimants import LAMINI_VERSION
from puna.api.dialect import ErrorReply
from puna.api.encoding import encode_json
from puna.api.errors import STATUS_OF_KIND, headers_of_error
from puna.api.head import RequestHead
from puna.api.lamini.replies import OpenAIErrorReply
from puna.errors import ErrorKind, PunaError

SHARED_PATH = "/v1/completions"
"""Where OpenAI's clients send requests too, and read `error` as an object."""

_STATUS = STATUS_OF_KIND | {ErrorKind.CONTEXT_OVERFLOW: 400}
_STATUS_FOR_CLIENT = {ErrorKind.MODEL_NOT_FOUND: 594, ErrorKind.GENERATION_TIMEOUT: 524}
"""Lamini's own numbers, which only its clients know; 422 makes them advise an update, so it is never sent."""
_FIRST_SERVER_ERROR = 500


def render_error(error: PunaError, head: RequestHead) -> ErrorReply:
    """Render an error: `detail` is the message, `error` the same or OpenAI's object where the path is shared."""
    status = _STATUS[error.kind]
    if head.header(LAMINI_VERSION) is not None:
        status = _STATUS_FOR_CLIENT.get(error.kind, status)
    message = error.message or "Unknown error."
    shown = _to_openai(error, message) if head.path == SHARED_PATH else message
    return ErrorReply(
        status=status,
        body=encode_json({"detail": message, "error": shown}),
        headers=headers_of_error(error),
    )


def _to_openai(error: PunaError, message: str) -> OpenAIErrorReply:
    is_ours = _STATUS[error.kind] >= _FIRST_SERVER_ERROR
    return OpenAIErrorReply(message, "server_error" if is_ours else "invalid_request_error", error.field)
