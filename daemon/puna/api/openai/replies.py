"""What the answers of chat and text completions have in common."""

from msgspec import Struct


class PromptDetails(Struct, frozen=True):
    """Of the prompt's tokens, those from the prefix cache."""

    cached_tokens: int


class CompletionDetails(Struct, frozen=True):
    """Of the completion's tokens, those that the model thought with."""

    reasoning_tokens: int


class UsageReply(Struct, frozen=True, kw_only=True):
    """What a request cost, in tokens. A prompt counts once, however many texts it got."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails
