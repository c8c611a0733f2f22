"""What a request cost. Pure."""

from collections.abc import Sequence

from puna.api.openai.replies import CompletionDetails, PromptDetails, UsageReply
from puna.domain.generation import Usage


def to_usage(usages: Sequence[Usage], *, per_prompt: int) -> UsageReply:
    """Return the sum for texts in the order of their index, so many for each prompt."""
    firsts = usages[::per_prompt]
    prompt_tokens = sum(usage.prompt_tokens for usage in firsts)
    completion_tokens = sum(usage.completion_tokens for usage in usages)
    return UsageReply(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        prompt_tokens_details=PromptDetails(sum(usage.cached_tokens for usage in firsts)),
        completion_tokens_details=CompletionDetails(sum(usage.reasoning_tokens for usage in usages)),
    )
