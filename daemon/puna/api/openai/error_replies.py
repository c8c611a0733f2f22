"""Errors on the wire."""

from msgspec import Struct


class ErrorObject(Struct, frozen=True):
    """What failed, as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    """The field that is wrong, where it is one."""
    code: str | None
    """What programs look for, such as `model_not_found`."""


class ErrorBody(Struct, frozen=True):
    """An answer that is an error."""

    error: ErrorObject
    detail: str
    """The message again, where clients of other APIs on these paths look for it."""


class SharedErrorBody(Struct, frozen=True):
    """The same on the paths that Anthropic's clients use too: they want the `type`."""

    error: ErrorObject
    detail: str
    type: str = "error"
    request_id: None = None


class ErrorEvent(Struct, frozen=True):
    """What ends a stream that failed."""

    error: ErrorObject
