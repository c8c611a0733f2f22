"""`truncation: auto` with engines that do not count what does not fit."""

from types import SimpleNamespace
from typing import cast

from msgspec.structs import replace

from puna.api.openai.responses.fitting import fit_conversation
from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, GenerationRequest
from puna.errors import ContextOverflowError
from puna.residency.lease import Lease

TURNS = tuple(
    message
    for number in range(6)
    for message in (Message(Role.USER, f"q{number}"), Message(Role.ASSISTANT, f"a{number}"))
)
REQUEST = GenerationRequest(prompt=ChatPrompt((*TURNS, Message(Role.USER, "last"))))


class CountingLease:
    """Ten tokens a message; what exceeds the context is an error."""

    def __init__(self, context_length: int) -> None:
        self.loaded = SimpleNamespace(context_length=context_length)

    async def count_tokens(self, prompt: ChatPrompt) -> int:
        tokens = 10 * len(prompt.messages)
        if self.loaded.context_length and tokens >= self.loaded.context_length:
            raise ContextOverflowError("The prompt does not fit.")
        return tokens


async def fit(context_length: int) -> GenerationRequest:
    return await fit_conversation(cast("Lease", CountingLease(context_length)), REQUEST)


async def test_the_oldest_turns_go() -> None:
    fitted = await fit(80)
    assert fitted == replace(REQUEST, prompt=ChatPrompt((*TURNS[-4:], Message(Role.USER, "last"))))


async def test_nothing_goes_where_it_fits_or_the_engine_does_not_tell_its_context() -> None:
    assert await fit(1000) is REQUEST
    assert await fit(0) is REQUEST
