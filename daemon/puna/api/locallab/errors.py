"""How LocalLab says that something failed."""

import re

from puna.api.dialect import ErrorReply
from puna.api.encoding import encode_json
from puna.api.errors import STATUS_OF_KIND, headers_of_error
from puna.api.head import RequestHead
from puna.errors import ErrorKind, PunaError

_NO_MODEL = "No model is currently loaded. Please load a model first using POST /models/load."
_RATE = "Rate limit exceeded"
_TIMEOUT = re.compile("timeout", re.IGNORECASE)
_SETTING = re.compile(r"\b([a-z]+_time)(out_s)\b")


def message_of(error: PunaError) -> str:
    """Return the message as LocalLab's clients can take it: one line, and never with a certain word.

    The Python client posts the whole request again, up to three times, where a message contains "timeout".
    """
    match error.kind:
        case ErrorKind.NO_MODEL_LOADED:
            return _NO_MODEL
        case ErrorKind.RATE_LIMITED:
            return _RATE
        case _:
            message = _SETTING.sub(r"\1-\2 (without the hyphen)", " ".join(error.message.split()))
            return _TIMEOUT.sub("time limit", message) or "Unknown error."


def render_error(error: PunaError, _: RequestHead) -> ErrorReply:
    """Render an error: `detail` as in the document, `error` for clients that look there."""
    message = message_of(error)
    return ErrorReply(
        status=STATUS_OF_KIND[error.kind],
        body=encode_json({"detail": message, "error": message}),
        headers=headers_of_error(error),
    )
