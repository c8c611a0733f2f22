"""Everybody who watches gets the newest state of everything, in its turn, until the end."""

import asyncio

from puna.news import Listener


async def test_the_newest_state_is_told_once_and_what_waits_longest_comes_first() -> None:
    states = {"a": 1, "b": 1}
    listener = Listener(states.get)
    for name in ("a", "b", "a", "gone"):
        listener.tell(name)
    states["a"] = 2
    news = listener.read()
    assert await anext(news) == 2
    listener.tell("a")
    assert (await anext(news), await anext(news)) == (1, 2)


async def test_one_that_listens_ends_though_there_are_news_all_the_time() -> None:
    listener = Listener({"a": 1}.get)
    listener.tell("a")
    seen = 0
    listener.close()
    async with asyncio.timeout(60):
        async for _ in listener.read():
            seen += 1
            listener.tell("a")
    assert seen == 1


async def test_one_that_is_closed_while_it_waits_ends() -> None:
    listener = Listener({"a": 1}.get)
    waiting = asyncio.ensure_future(anext(listener.read(), None))
    await asyncio.sleep(0)
    listener.close()
    async with asyncio.timeout(60):
        assert await waiting is None
