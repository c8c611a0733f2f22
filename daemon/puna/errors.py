"""Every error that Puna raises on purpose, as one tree.

    PunaError
    ├── RequestError              this request failed; daemon and worker are fine
    │   ├── InvalidRequestError       a field is missing, of the wrong type or out of range
    │   ├── UnauthenticatedError      no key, or a bad one
    │   ├── ForbiddenError            the key, the Host or the Origin may not do this
    │   ├── RouteNotFoundError
    │   ├── MethodNotAllowedError
    │   ├── NotFoundError             what the path names, such as a job, does not exist
    │   ├── ModelNotFoundError
    │   ├── NoModelLoadedError
    │   ├── BodyTooLargeError
    │   ├── UnsupportedMediaTypeError
    │   ├── ContextOverflowError      the prompt does not fit the context
    │   ├── RateLimitedError
    │   ├── OverloadedError           a queue is full, or the daemon is stopping
    │   ├── GenerationTimeoutError
    │   ├── GenerationError           llama.cpp or the chat template refused this request
    │   ├── RemoteEngineError         the engine of a remote model failed, or answered with what is no answer
    │   └── StoreError                the disk is full or broken, so nothing was kept
    ├── WorkerError               one worker is lost; the next request gets a new one
    │   ├── ModelLoadError            the file cannot be run
    │   │   ├── ModelTooLargeError        not in the memory of this machine
    │   │   └── WorkerDiedLoadingError    the child ended while it loaded
    │   └── WorkerDiedError           the child ended while requests were open
    └── DaemonError               the daemon itself cannot go on
        ├── ConfigError
        ├── AlreadyRunningError
        ├── NotRunningError
        ├── PortInUseError
        └── EngineUnusableError       llama.cpp cannot be loaded, so no model can run

A message is one sentence for the person who reads it, says what to do next where that is known, and never
holds a traceback. `kind` is what travels between processes and what each dialect renders.
"""

from enum import StrEnum
from typing import ClassVar, final


@final
class ErrorKind(StrEnum):
    """The closed set of kinds; each dialect maps all of them."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    ROUTE_NOT_FOUND = "route_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    NO_MODEL_LOADED = "no_model_loaded"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    CONTEXT_OVERFLOW = "context_overflow"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    GENERATION_TIMEOUT = "generation_timeout"
    GENERATION_FAILED = "generation_failed"
    MODEL_LOAD_FAILED = "model_load_failed"
    WORKER_DIED = "worker_died"
    INTERNAL = "internal"


class PunaError(Exception):
    """Base of the tree. `field` names the offending input, `retry_after_s` when to try again."""

    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL

    def __init__(self, message: str, *, field: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s


class RequestError(PunaError):
    """This request failed; daemon and worker are fine."""


class InvalidRequestError(RequestError):
    """A field is missing, of the wrong type or out of range."""

    kind = ErrorKind.INVALID_REQUEST


class UnauthenticatedError(RequestError):
    """No key, or a bad one."""

    kind = ErrorKind.UNAUTHENTICATED


class ForbiddenError(RequestError):
    """The key, the Host or the Origin may not do this."""

    kind = ErrorKind.FORBIDDEN


class RouteNotFoundError(RequestError):
    """No route has this path."""

    kind = ErrorKind.ROUTE_NOT_FOUND


class MethodNotAllowedError(RequestError):
    """The path exists for other methods, which `allowed` lists."""

    kind = ErrorKind.METHOD_NOT_ALLOWED

    def __init__(self, message: str, allowed: frozenset[str]) -> None:
        super().__init__(message)
        self.allowed = allowed


class NotFoundError(RequestError):
    """What the path names, such as a job, does not exist, or not for who asks."""

    kind = ErrorKind.NOT_FOUND


class ModelNotFoundError(RequestError):
    """No model has this name, and no file this path."""

    kind = ErrorKind.MODEL_NOT_FOUND


class NoModelLoadedError(RequestError):
    """The request names no model, and none is loaded or set as the default."""

    kind = ErrorKind.NO_MODEL_LOADED


class BodyTooLargeError(RequestError):
    """The body exceeds the limit of its route."""

    kind = ErrorKind.BODY_TOO_LARGE


class UnsupportedMediaTypeError(RequestError):
    """The content type is not one that the route takes."""

    kind = ErrorKind.UNSUPPORTED_MEDIA_TYPE


class ContextOverflowError(RequestError):
    """The prompt does not fit the context; the message names both numbers."""

    kind = ErrorKind.CONTEXT_OVERFLOW


class RateLimitedError(RequestError):
    """The documented rate of the API is exceeded."""

    kind = ErrorKind.RATE_LIMITED


class OverloadedError(RequestError):
    """A queue is full, or the daemon is stopping."""

    kind = ErrorKind.OVERLOADED


class GenerationTimeoutError(RequestError):
    """Nothing came from the worker within the time limit."""

    kind = ErrorKind.GENERATION_TIMEOUT


class GenerationError(RequestError):
    """llama.cpp or the model's chat template refused this request."""

    kind = ErrorKind.GENERATION_FAILED


class RemoteEngineError(RequestError):
    """The engine of a remote model failed, refuses Puna's key, or answered with what is no answer."""


class StoreError(RequestError):
    """What the request wanted to keep could not be written, or what it asked for not read."""


class WorkerError(PunaError):
    """One worker is lost; the next request gets a new one."""


class ModelLoadError(WorkerError):
    """The file cannot be run: damaged, not a GGUF, of an unknown architecture, or too large."""

    kind = ErrorKind.MODEL_LOAD_FAILED


class ModelTooLargeError(ModelLoadError):
    """The model does not fit the memory of this machine, whatever else left it; the message has the numbers."""


class WorkerDiedLoadingError(ModelLoadError):
    """The child ended while it loaded the model. The message carries the exit code or signal."""


class WorkerDiedError(WorkerError):
    """The child ended while requests were open. The message carries the exit code or signal."""

    kind = ErrorKind.WORKER_DIED


class DaemonError(PunaError):
    """The daemon itself cannot start or go on; the command line prints it and exits."""


class ConfigError(DaemonError):
    """A setting has a wrong name, type or value; the message names it and where it was set."""


class AlreadyRunningError(DaemonError):
    """Another daemon of this user holds the lock."""


class NotRunningError(DaemonError):
    """No daemon of this user answers."""


class PortInUseError(DaemonError):
    """Another program listens on the address; the message names it where that can be known."""


class EngineUnusableError(DaemonError):
    """llama.cpp cannot be loaded on this machine; the message says why and what to do."""


_BY_KIND: dict[ErrorKind, type[PunaError]] = {
    error.kind: error
    for error in (
        InvalidRequestError,
        ModelNotFoundError,
        NoModelLoadedError,
        ContextOverflowError,
        OverloadedError,
        GenerationTimeoutError,
        GenerationError,
        ModelLoadError,
        WorkerDiedError,
    )
}


def error_of_kind(kind: ErrorKind, message: str) -> PunaError:
    """Return the error for a kind that came from another process; unknown kinds become `PunaError`."""
    return _BY_KIND.get(kind, PunaError)(message)
