"""How many requests an engine gets at the same time, and who is next."""

import asyncio
import random

import pytest

from fakes.virtual_time import now_s, run_virtually
from puna.domain.generation import Priority
from puna.engine.upstream.slots import NoSlotError, Slots

INTERACTIVE, BACKGROUND = Priority.INTERACTIVE, Priority.BACKGROUND


def test_somebody_who_waits_goes_before_the_tasks_of_jobs() -> None:
    async def main() -> list[str]:
        slots, order = Slots(1), list[str]()

        async def use(name: str, priority: Priority) -> None:
            async with slots.take(priority, timeout_s=100):
                order.append(name)
                await asyncio.sleep(1)

        wishes = [("first", BACKGROUND), ("job 1", BACKGROUND), ("job 2", BACKGROUND), ("a", INTERACTIVE)]
        tasks = []
        for name, priority in [*wishes, ("b", INTERACTIVE)]:
            tasks.append(asyncio.create_task(use(name, priority)))
            await asyncio.sleep(0)
        assert (slots.busy, slots.waiting) == (1, 4)
        await asyncio.gather(*tasks)
        assert (slots.busy, slots.waiting) == (0, 0)
        return order

    assert run_virtually(main()) == ["first", "a", "b", "job 1", "job 2"]


def test_waiting_has_an_end() -> None:
    async def main() -> float:
        slots = Slots(1)
        async with slots.take(INTERACTIVE, timeout_s=1):
            with pytest.raises(NoSlotError):
                async with slots.take(INTERACTIVE, timeout_s=30):
                    raise AssertionError
        assert (slots.busy, slots.waiting) == (0, 0)
        return now_s()

    assert run_virtually(main()) == 30


def test_a_time_out_of_the_work_is_none_of_the_slot() -> None:
    async def main() -> None:
        slots = Slots(1)
        with pytest.raises(TimeoutError):
            async with slots.take(INTERACTIVE, timeout_s=1):
                raise TimeoutError
        assert slots.busy == 0

    run_virtually(main())


@pytest.mark.parametrize("seed", range(30))
def test_no_slot_is_lost_and_none_is_given_twice_whoever_leaves(seed: int) -> None:
    async def main() -> None:
        chance, slots = random.Random(seed), Slots(3)
        running = most = served = 0

        async def use() -> None:
            nonlocal running, most, served
            priority = chance.choice([INTERACTIVE, BACKGROUND])
            async with slots.take(priority, timeout_s=chance.choice([0.5, 5, 1000])):
                running += 1
                most = max(most, running)
                try:
                    await asyncio.sleep(chance.random())
                    served += 1
                finally:
                    running -= 1

        tasks = []
        for _ in range(100):
            tasks.append(asyncio.create_task(use()))
            await asyncio.sleep(chance.random() / 8)
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 3
        assert served
        assert (slots.busy, slots.waiting, running) == (0, 0, 0)

    run_virtually(main())
