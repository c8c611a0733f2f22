"""The engine's errors as ours. Pure.

    InvalidRequestError      the engine refuses what the caller asked for, in its words
    ContextOverflowError
    BodyTooLargeError
    OverloadedError          the engine is busy, starting or limits the rate: try again later
    GenerationTimeoutError
    GenerationError          a text that failed in a second Puna
    RemoteEngineError        everything that is neither the caller's doing nor a matter of waiting: the key that
                             the engine does not take, a wrong address or model, a failure of its own, an odd answer
    WorkerDiedError          the connection is lost, or there is none

Who asks is known by a key of Puna's, so an engine's 401 is never the caller's, nor is its 404.
"""

import math
import re

import msgspec

from puna.domain.remote import RemoteModel
from puna.engine.upstream.replies import ErrorFields, ErrorReply
from puna.errors import (
    BodyTooLargeError,
    ContextOverflowError,
    GenerationError,
    GenerationTimeoutError,
    InvalidRequestError,
    OverloadedError,
    PunaError,
    RemoteEngineError,
    WorkerDiedError,
)
from puna.redaction import redact

_RETRY_AFTER_S = 5.0
_LONGEST_WAIT_S = 3600.0
_LONGEST_QUOTE = 400
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_CONTEXT_WORDS = re.compile(
    r"maximum context length|context (size|length|window) (is )?exceed|exceeds? the (available |model's )?context"
    r"|longer than the (model's )?context|does not fit the context",
    re.IGNORECASE,
)
_BUSY = frozenset({429, 502, 503, 529})
_LATE = frozenset({408, 504})
_REFUSED = frozenset({400, 409, 415, 422})
_FAILED = "generation_failed"
"""Puna's code for a text that failed, which it sends with a 4xx so that clients do not ask again by themselves."""
_STATUS_OF_WORD = {
    _FAILED: 500,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "insufficient_permissions": 403,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded": 503,
    "overloaded_error": 503,
    "unavailable_error": 503,
    "timeout": 504,
    "timeout_error": 504,
}
"""By a `code`, or else a `type`, in small letters, the status that an answer would have had."""


def from_answer(status: int, body: bytes, retry_after: str | None, remote: RemoteModel) -> PunaError:
    """Return the error for an answer with another status than 200."""
    fields = read_error(body)
    if fields.code == _FAILED:
        status = _STATUS_OF_WORD[_FAILED]
    return _to_error(status, fields, remote, retry_after_s=_to_seconds(retry_after))


def read_error(body: bytes) -> ErrorFields:
    """Return what an answer says that failed; nothing where it is in no known form."""
    try:
        return msgspec.json.decode(body, type=ErrorReply).fields
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ErrorFields()


def from_event(fields: ErrorFields, remote: RemoteModel) -> PunaError:
    """Return the error for one that came within an answer that had begun."""
    return _to_error(_status_of(fields), fields, remote, retry_after_s=None)


def unreachable(reason: str, remote: RemoteModel) -> PunaError:
    """Return the error for an engine that cannot be connected to."""
    return WorkerDiedError(
        f"The engine of {remote.name} at {remote.origin} cannot be reached ({redact(reason)}); "
        "start it, or correct url in remote_models. Puna tries again with the next request."
    )


def cut_off(remote: RemoteModel) -> PunaError:
    """Return the error for a connection that ended before the answer did."""
    return WorkerDiedError(
        f"The engine of {remote.name} at {remote.origin} ended the connection before the answer was complete; "
        "ask again."
    )


def too_late(seconds: float, remote: RemoteModel) -> PunaError:
    """Return the error for an engine that says nothing."""
    return GenerationTimeoutError(
        f"Nothing came from the engine of {remote.name} for {seconds:g} s; the request was given up."
    )


def odd_answer(what: str, remote: RemoteModel) -> PunaError:
    """Return the error for an answer that is none of OpenAI's API."""
    return RemoteEngineError(
        f"The engine of {remote.name} at {remote.origin} answered with {what}; "
        "is url in remote_models the address of an OpenAI-compatible API, with /v1?"
    )


def all_busy(seconds: float, remote: RemoteModel) -> PunaError:
    """Return the error for a request that got no slot in time."""
    return OverloadedError(
        f"The {remote.slots} slots of {remote.name} were busy for {seconds:g} s; try again later.",
        retry_after_s=_RETRY_AFTER_S,
    )


def unloaded(remote: RemoteModel) -> PunaError:
    """Return the error for requests that are open when the model is let go."""
    return OverloadedError(f"The model {remote.name} was unloaded; ask again to load it.", retry_after_s=1)


def _to_error(
    status: int, fields: ErrorFields, remote: RemoteModel, *, retry_after_s: float | None
) -> PunaError:
    said = _quote(fields.message)
    refusal = f"The engine of {remote.name} refuses the request{said}."
    match status:
        case _ if _is_overflow(status, fields):
            return ContextOverflowError(f"The prompt does not fit the context of {remote.name}{said}.")
        case _ if status in _REFUSED:
            return InvalidRequestError(refusal)
        case 413:
            return BodyTooLargeError(refusal)
        case _ if status in _BUSY:
            return OverloadedError(
                f"The engine of {remote.name} is busy{said}; try again later.",
                retry_after_s=retry_after_s or _RETRY_AFTER_S,
            )
        case _ if status in _LATE:
            return GenerationTimeoutError(f"The engine of {remote.name} took too long{said}.")
        case _ if fields.code == _FAILED:
            return GenerationError(_describe(status, said, remote))
        case _:
            return RemoteEngineError(_describe(status, said, remote))


def _describe(status: int, said: str, remote: RemoteModel) -> str:
    match status:
        case 401 | 403:
            # Said without the engine's words: some of them repeat the key.
            return (
                f"The engine of {remote.name} at {remote.origin} does not take Puna's key (status {status}); "
                "correct it where key_variable in remote_models, or remote_keys in secrets.json, has it."
            )
        case 404 | 405 | 501:
            return (
                f"The engine of {remote.name} at {remote.origin} has no such model or route (status {status})"
                f"{said}; correct url or model in remote_models."
            )
        case _ if 300 <= status < 400:
            return (
                f"The engine of {remote.name} at {remote.origin} sends requests elsewhere (status {status}), "
                "where Puna does not follow; put the final address into url in remote_models."
            )
        case _:
            return f"The engine of {remote.name} failed{said}."


def _is_overflow(status: int, fields: ErrorFields) -> bool:
    words = {str(fields.code), str(fields.type)}
    is_refused = status in _REFUSED or status in (413, 500)
    return is_refused and (bool(words & _CONTEXT_CODES) or bool(_CONTEXT_WORDS.search(fields.message or "")))


def _status_of(fields: ErrorFields) -> int:
    if isinstance(fields.code, int) and 400 <= fields.code < 600:
        return fields.code
    words = (str(fields.code).lower(), str(fields.type).lower())
    if _CONTEXT_CODES & set(words):
        return 400
    return next((_STATUS_OF_WORD[word] for word in words if word in _STATUS_OF_WORD), 500)


def _quote(message: str | None) -> str:
    """Return the engine's words behind a colon: their first line, without secrets and its full stop."""
    lines = (message or "").strip().splitlines()
    text = "".join(each if each.isprintable() else " " for each in redact(lines[0])) if lines else ""
    cut = text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "..."
    return f": {cut.strip().removesuffix('.')}" if cut.strip() else ""


def _to_seconds(retry_after: str | None) -> float | None:
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT_S) if math.isfinite(seconds) and seconds > 0 else None
