"""When a silent worker is asked for a sign of life, and when it is given up."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fakes.virtual_time import now_s, run_virtually
from puna.engine.vigil import Vigil

PATIENCE_S = 600.0
GRACE_S = 30.0

Story = Callable[["Watched"], Awaitable[None]]


class Watched:
    """A vigil whose questions and conclusions are written down with their times."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.told: list[tuple[str, float]] = []
        self.vigil = Vigil(
            patience_s,
            ask=lambda: self.told.append(("asked", now_s())),
            give_up=lambda silent_s: self.told.append((f"given up after {silent_s:.0f} s", now_s())),
        )


def told_in(story: Story, patience_s: float = PATIENCE_S) -> list[tuple[str, float]]:
    async def run() -> list[tuple[str, float]]:
        watched = Watched(patience_s)
        await story(watched)
        await asyncio.sleep(10 * PATIENCE_S)
        return watched.told

    return run_virtually(run())


def test_a_worker_with_nothing_to_do_may_be_silent() -> None:
    async def idle(watched: Watched) -> None:
        watched.vigil.hear()
        await asyncio.sleep(10 * PATIENCE_S)

    assert told_in(idle) == []


def test_a_request_that_was_given_up_without_a_word_makes_it_asked_at_once() -> None:
    async def give_up(watched: Watched) -> None:
        await asyncio.sleep(PATIENCE_S)
        watched.vigil.doubt(since_s=0.0)

    assert told_in(give_up) == [("asked", 600.0), ("given up after 630 s", 630.0)]


def test_a_request_that_its_client_left_gives_it_the_same_time() -> None:
    async def leave(watched: Watched) -> None:
        await asyncio.sleep(60)
        watched.vigil.doubt(since_s=50.0)
        watched.vigil.doubt(since_s=20.0)
        watched.vigil.doubt(since_s=40.0)

    assert told_in(leave) == [("asked", 620.0), ("given up after 630 s", 650.0)]


def test_silence_counts_from_the_last_word() -> None:
    async def speak(watched: Watched) -> None:
        await asyncio.sleep(500)
        watched.vigil.hear()
        await asyncio.sleep(100)
        watched.vigil.doubt(since_s=0.0)

    assert told_in(speak) == [("asked", 1100.0), ("given up after 630 s", 1130.0)]


@pytest.mark.parametrize("after_s", [1.0, PATIENCE_S + GRACE_S / 2])
def test_any_word_ends_the_doubt(after_s: float) -> None:
    async def answer(watched: Watched) -> None:
        watched.vigil.doubt(since_s=0.0)
        await asyncio.sleep(after_s)
        watched.vigil.hear()

    assert ("given up after 630 s", 630.0) not in told_in(answer)
    assert len(told_in(answer)) == (after_s > PATIENCE_S)


def test_those_who_leave_later_give_it_no_second_grace() -> None:
    async def crowd(watched: Watched) -> None:
        watched.vigil.doubt(since_s=0.0)
        await asyncio.sleep(PATIENCE_S + GRACE_S / 2)
        watched.vigil.doubt(since_s=-5.0)
        watched.vigil.doubt(since_s=PATIENCE_S)

    assert told_in(crowd) == [("asked", 600.0), ("given up after 630 s", 630.0)]


def test_a_short_patience_has_a_short_grace() -> None:
    async def leave(watched: Watched) -> None:
        watched.vigil.doubt(since_s=0.0)

    assert told_in(leave, patience_s=3.0) == [("asked", 3.0), ("given up after 6 s", 6.0)]


def test_a_worker_that_is_gone_is_not_asked() -> None:
    async def die(watched: Watched) -> None:
        watched.vigil.doubt(since_s=0.0)
        watched.vigil.end()
        watched.vigil.doubt(since_s=0.0)

    assert told_in(die) == []
