"""Several texts in one stream."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from puna.api.streaming import ChoiceEvent, merge_events
from puna.domain.generation import GenerationEvent, TextDelta
from puna.errors import WorkerDiedError


class Source:
    """Gives words, one at a time, and knows whether it was closed."""

    def __init__(self, *words: str, failure: Exception | None = None, is_endless: bool = False) -> None:
        self._words = words
        self._failure = failure
        self._is_endless = is_endless
        self.is_closed = False

    async def events(self) -> AsyncGenerator[GenerationEvent]:
        try:
            for word in self._words:
                await asyncio.sleep(0)
                yield TextDelta(word)
            if self._is_endless:
                await asyncio.Event().wait()
            if self._failure is not None:
                raise self._failure
        finally:
            self.is_closed = True


async def test_every_text_keeps_its_order_and_its_number() -> None:
    sources = [Source("a", "b", "c"), Source(), Source("x", "y")]
    async with merge_events([source.events() for source in sources]) as merged:
        events = [event async for event in merged]
    assert [e.event for e in events if e.index == 0] == [TextDelta("a"), TextDelta("b"), TextDelta("c")]
    assert [e.event for e in events if e.index == 2] == [TextDelta("x"), TextDelta("y")]
    assert len(events) == 5
    assert all(source.is_closed for source in sources)


async def test_the_first_failure_ends_all_of_them() -> None:
    endless = Source("a", is_endless=True)
    failing = Source("x", failure=WorkerDiedError("gone"))
    seen: list[ChoiceEvent] = []
    with pytest.raises(WorkerDiedError, match="gone"):
        async with merge_events([endless.events(), failing.events()]) as merged:
            async for event in merged:
                seen += [event]
    assert ChoiceEvent(1, TextDelta("x")) in seen
    assert endless.is_closed


async def test_whoever_leaves_ends_all_of_them() -> None:
    sources = [Source("a", is_endless=True), Source("b", is_endless=True)]
    async with merge_events([source.events() for source in sources]) as merged:
        assert (await anext(merged)).event in (TextDelta("a"), TextDelta("b"))
    assert all(source.is_closed for source in sources)
