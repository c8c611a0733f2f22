"""Lamini's answers."""

from msgspec import Struct

from puna.api.lamini.output_type import Value


class OutputReply(Struct, frozen=True):
    """One text."""

    output: str


Answer = OutputReply | dict[str, Value]
"""One answer: a text, or the typed object itself."""


class OutputsReply(Struct, frozen=True):
    """Answer of /v2/completions and of what is polled: null where there is none yet."""

    outputs: tuple[Answer | None, ...]
    finish_reason: tuple[str | None, ...]


class NothingYetReply(Struct, frozen=True):
    """What clients take for "ask again": an object without fields."""


class PolledIdReply(Struct, frozen=True):
    """Answer to what will be polled."""

    id: str


class StreamingReply(Struct, frozen=True):
    """Answer of /v1/streaming_completions."""

    server: str
    status: tuple[bool, ...]
    data: tuple[Answer | NothingYetReply, ...]


class EndpointReply(Struct, frozen=True):
    """One route, for clients that look which there are."""

    name: str
    path: str


class VersionReply(Struct, frozen=True):
    """Answer of /v1/version."""

    server: str
    client: str | None
    api: tuple[EndpointReply, ...]


class ReservationReply(Struct, frozen=True, kw_only=True):
    """Answer of /v1/reservation. Moments are UTC without saying so: clients subtract them from such ones."""

    reservation_id: int
    start_time: str
    end_time: str
    capacity_remaining: int
    dynamic_max_batch_size: int


class OpenAIErrorReply(Struct, frozen=True):
    """An error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: None = None
