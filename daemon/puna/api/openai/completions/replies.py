"""Answers of text completions, whole and in chunks. Fields that are `UNSET` are not sent."""

from msgspec import UNSET, Struct, UnsetType

from puna.api.openai.replies import UsageReply


class TextLogprobsReply(Struct, frozen=True, kw_only=True):
    """The tokens of a text, a list for each of their properties."""

    tokens: tuple[str, ...]
    token_logprobs: tuple[float, ...]
    top_logprobs: tuple[dict[str, float], ...]
    """The likely tokens in each place, the one that was taken among them."""
    text_offset: tuple[int, ...]
    """Where in the text each begins, in characters."""


class TextChoiceReply(Struct, frozen=True, kw_only=True):
    """One text, or more of it."""

    index: int
    text: str
    logprobs: TextLogprobsReply | None = None
    finish_reason: str | None = None


class TextReply(Struct, frozen=True, kw_only=True):
    """A whole answer, or one event of a stream."""

    id: str
    object: str = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[TextChoiceReply, ...]
    usage: UsageReply | UnsetType | None = UNSET
    """Of a stream where it is asked for: null until the last chunk, which has no choices."""
