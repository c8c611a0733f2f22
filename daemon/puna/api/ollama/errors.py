"""How Ollama and Spin-Up say that something failed."""

from puna.api.dialect import ErrorReply
from puna.api.encoding import encode_json
from puna.api.errors import STATUS_OF_KIND, headers_of_error
from puna.api.head import RequestHead
from puna.errors import ErrorKind, PunaError

_STATUS = STATUS_OF_KIND | {ErrorKind.GENERATION_FAILED: 422}
"""As OpenAI's: what was asked for did not come about, such as a `format` within too few tokens; nothing is broken."""


def message_of(error: PunaError) -> str:
    """Return the message; that of an unknown model has the words that Ollama's clients look for."""
    if error.kind is ErrorKind.MODEL_NOT_FOUND and "not found" not in error.message:
        return f"model not found: {error.message}"
    return error.message or "Unknown error."


def render_error(error: PunaError, _: RequestHead) -> ErrorReply:
    """Render an error: `error` is what Ollama's clients read, `detail` what others look for."""
    message = message_of(error)
    return ErrorReply(
        status=_STATUS[error.kind],
        body=encode_json({"error": message, "detail": message}),
        headers=headers_of_error(error),
    )
