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
    fewest, most = 1, count_turns(prompt.messages) - 1
    while fewest < most:
        middle = (fewest + most) // 2
        if await _is_shorter(lease, _without(prompt, middle), room):
            most = middle
        else:
            fewest = middle + 1
    return replace(request, prompt=_without(prompt, fewest)) if most >= 1 else request


def _without(prompt: ChatPrompt, turns: int) -> ChatPrompt:
    return replace(prompt, messages=leave_out(prompt.messages, turns))


async def _is_shorter(lease: Lease, prompt: ChatPrompt, limit: int) -> bool:
    """Return whether a prompt has fewer tokens; some engines of remote models do not count what does not fit."""
    try:
        return await lease.count_tokens(prompt) < limit
    except ContextOverflowError:
        return False


def count_turns(messages: Sequence[Message]) -> int:
    """Return how many turns a conversation has."""
    return len(_starts(messages))


def leave_out(messages: Sequence[Message], turns: int) -> tuple[Message, ...]:
    """Return the conversation without so many of its oldest turns, at least one of which stays."""
    starts = _starts(messages)
    head = tuple(message for message in messages[: starts[0]] if _instructs(message))
    return head + tuple(messages[starts[turns] :])


def _starts(messages: Sequence[Message]) -> list[int]:
    return [index for index, message in enumerate(messages) if message.role is Role.USER]


def _instructs(message: Message) -> bool:
    return message.role in {Role.SYSTEM, Role.DEVELOPER}
