"""`truncation: auto`: the oldest turns go where a conversation is longer than the context.

What fits is never cut. Else whole turns go from the front, each from a user's message to the next, until there is
room for the answer too; what stands before the first one (instructions) and the last turn stay.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, GenerationRequest
from puna.errors import ContextOverflowError
from puna.residency.lease import Lease

_ANSWER_SHARE = 4
"""A quarter of the context is for the answer, where the request says nothing of its length."""


async def fit_conversation(lease: Lease, request: GenerationRequest) -> GenerationRequest:
    """Return the request with a conversation that fits, as far as leaving out old turns can make it so."""
    prompt, length = request.prompt, lease.loaded.context_length
    assert isinstance(prompt, ChatPrompt)
    if not length or await _is_shorter(lease, prompt, length):
        return request
    room = length - min(request.max_tokens or length // _ANSWER_SHARE, length // 2)
    shorter = [replace(prompt, messages=messages) for messages in shorten(prompt.messages)]
    fewest, most = 0, len(shorter) - 1
    while fewest < most:
        middle = (fewest + most) // 2
        if await _is_shorter(lease, shorter[middle], room):
            most = middle
        else:
            fewest = middle + 1
    return replace(request, prompt=shorter[fewest]) if shorter else request


async def _is_shorter(lease: Lease, prompt: ChatPrompt, limit: int) -> bool:
    """Return whether a prompt has fewer tokens; some engines of remote models do not count what does not fit."""
    try:
        return await lease.count_tokens(prompt) < limit
    except ContextOverflowError:
        return False


def shorten(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """Return the conversation without its oldest turn, without the two oldest, and so on to the last one alone."""
    starts = [index for index, message in enumerate(messages) if message.role is Role.USER]
    if not starts:
        return []
    head = tuple(message for message in messages[: starts[0]] if _instructs(message))
    return [head + tuple(messages[start:]) for start in starts[1:]]


def _instructs(message: Message) -> bool:
    return message.role in {Role.SYSTEM, Role.DEVELOPER}
