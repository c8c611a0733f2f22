"""Spin-Up's and Ollama's answers in one: whoever knows only one of them ignores the other's fields."""

from msgspec import Struct


class UsageReply(Struct, frozen=True):
    """Tokens; `tokens`, which the document has, is the sum of the others."""

    tokens: int
    prompt_tokens: int
    completion_tokens: int


class ChunkReply(Struct, frozen=True, kw_only=True):
    """A line of a stream before the last."""

    id: str
    model: str
    created_at: str
    response: str
    output: str
    """The same as `response`, under the name of Spin-Up's document."""
    done: bool = False


class GenerateReply(ChunkReply, frozen=True, kw_only=True):
    """A whole answer, or the last line of a stream. Durations are nanoseconds."""

    done: bool = True
    done_reason: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    usage: UsageReply


class LoadReply(Struct, frozen=True, kw_only=True):
    """Answer to a request without a prompt."""

    model: str
    created_at: str
    response: str = ""
    done: bool = True
    done_reason: str


class ErrorLine(Struct, frozen=True):
    """The last line of a stream that failed."""

    error: str
