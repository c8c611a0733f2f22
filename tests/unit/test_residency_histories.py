"""Hundreds of random histories of a daemon with several models, on a clock that jumps.

`fakes.house.House` fails in the moment in which more memory is used than there is, a model is launched twice, or a
busy one is closed. What is checked here is the rest: everybody is answered in time, and nothing is left over.
"""

import asyncio
import math
import random
from collections import Counter

import pytest

from fakes.house import GIB, MIB, House, make_shape
from fakes.virtual_time import now_s, run_virtually
from puna.domain.generation import GenerationRequest, TextPrompt
from puna.errors import ModelLoadError, OverloadedError, PunaError, WorkerDiedError
from puna.residency.coordinator import Coordinator

REQUEST = GenerationRequest(prompt=TextPrompt("x"))
LONGEST_USE_S = 30.0
LONGEST_LOAD_S = 5.0
LONGEST_CLOSE_S = 2.0
LONGEST_TURN_S = LONGEST_USE_S + LONGEST_LOAD_S + LONGEST_CLOSE_S + 1.0
ROOM_TIMEOUT_S = 600.0


class History:
    """One run: clients that come and go at random, and what became of them."""

    def __init__(self, seed: int, *, is_calm: bool) -> None:
        """A calm one has no pins, no unloads, no deaths and nobody who leaves early: everybody must be served."""
        self.rng = rng = random.Random(seed)
        self.is_calm = is_calm
        main_bytes = rng.choice((4, 8, 16)) * GIB
        gpu_bytes = rng.choice((0, 0, 4, 12)) * GIB
        usable = main_bytes * 6 // 10
        self.models = [f"m{number}" for number in range(rng.randint(2, 7))]
        shapes = {name: make_shape(rng.randint(50 * MIB, usable)) for name in self.models}
        self.house = House(rng, shapes, main_bytes=main_bytes, gpu_bytes=gpu_bytes)
        self.outcomes: Counter[str] = Counter()
        self.longest_wait_s = 0.0
        self.coordinator = Coordinator(
            self.house,
            self.house,
            self.house,
            default_model=self.models[0],
            max_loaded_models=rng.randint(1, 5),
            queue_limit=1000,
            idle_timeout_s=rng.choice((math.inf, 20.0, 120.0)),
            room_timeout_s=ROOM_TIMEOUT_S if is_calm else rng.choice((5.0, 60.0)),
        )

    async def run(self) -> None:
        clients = [asyncio.create_task(self._come_and_go()) for _ in range(self.rng.randint(5, 40))]
        trouble = None if self.is_calm else asyncio.create_task(self._make_trouble())
        await asyncio.gather(*clients)
        if trouble is not None:
            trouble.cancel()
        assert not any(place.leases for place in self.coordinator._places.values())
        for name in self.models:
            self.house.unloading.add(name)
        await self.coordinator.close()
        assert self.coordinator.ledger.claims == 0
        assert self.house.workers == []

    async def _come_and_go(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.0, 100.0))
        for _ in range(self.rng.randint(1, 4)):
            model = self.rng.choice(self.models)
            use = asyncio.create_task(self._use(model))
            if not self.is_calm and self.rng.random() < 0.2:
                await asyncio.sleep(self.rng.uniform(0.0, 10.0))
                use.cancel()
                await asyncio.wait([use])
                self.outcomes["left"] += use.cancelled()
            else:
                await use
            await asyncio.sleep(self.rng.uniform(0.0, 20.0))

    async def _use(self, model: str) -> None:
        asked_s = now_s()
        keep_alive_s = None if self.is_calm else self.rng.choice((None, None, 0.0, 10.0, math.inf))
        try:
            async with self.coordinator.acquire(model, keep_alive_s=keep_alive_s) as lease:
                self.longest_wait_s = max(self.longest_wait_s, now_s() - asked_s)
                self.house.leases[lease._worker] += 1
                try:
                    await asyncio.sleep(self.rng.uniform(0.0, LONGEST_USE_S))
                    await lease.complete(REQUEST)
                finally:
                    self.house.leases[lease._worker] -= 1
            self.outcomes["served"] += 1
        except PunaError as error:
            if self.is_calm or not isinstance(error, OverloadedError | ModelLoadError | WorkerDiedError):
                raise
            self.outcomes[type(error).__name__] += 1

    async def _make_trouble(self) -> None:
        self.house.dies_loading = self.rng.choice((0.0, 0.1, 0.5))
        self.house.is_gpu_broken = self.rng.random() < 0.3
        while True:
            await asyncio.sleep(self.rng.uniform(1.0, 20.0))
            model = self.rng.choice(self.models)
            match self.rng.randrange(7):
                case 0:
                    self.house.unloading.add(model)
                    await self.coordinator.unload(model)
                    self.house.unloading.discard(model)
                case 1:
                    for worker in [each for each in self.house.workers if each.model == model]:
                        worker.die()
                case 2:
                    with_no_word = asyncio.gather(self.coordinator.load(model), return_exceptions=True)
                    await with_no_word
                case 3:
                    self.house.bad_files ^= {model}
                case 4:
                    await self.coordinator.let_go(model)
                case _:
                    await asyncio.sleep(0)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_in_calm_histories_everybody_is_served_in_his_turn(first: int) -> None:
    for seed in range(first, first + 20):
        history = History(seed, is_calm=True)
        run_virtually(history.run())
        served = history.outcomes["served"]
        assert served == history.outcomes.total()
        # The turn that is under way, one of every other model, and the own load.
        assert history.longest_wait_s < (len(history.models) + 1) * LONGEST_TURN_S, seed


@pytest.mark.parametrize("first", range(1000, 1200, 20))
def test_in_troubled_histories_nothing_is_lost(first: int) -> None:
    for seed in range(first, first + 20):
        history = History(seed, is_calm=False)
        run_virtually(history.run())
        assert history.outcomes["served"], seed


def test_a_model_in_constant_use_does_not_starve_another() -> None:
    async def main() -> None:
        rng = random.Random(5)
        house = House(rng, {"hot": make_shape(2 * GIB), "cold": make_shape(2 * GIB)}, main_bytes=4 * GIB)
        coordinator = Coordinator(
            house,
            house,
            house,
            default_model=None,
            max_loaded_models=4,
            queue_limit=100,
            room_timeout_s=600.0,
        )

        async def keep_busy() -> None:
            while True:
                async with coordinator.acquire("hot") as lease:
                    house.leases[lease._worker] += 1
                    await asyncio.sleep(rng.uniform(5.0, 10.0))
                    house.leases[lease._worker] -= 1

        busy = [asyncio.create_task(keep_busy()) for _ in range(5)]
        await asyncio.sleep(20.0)
        for _ in range(5):
            asked_s = now_s()
            async with coordinator.acquire("cold") as lease:
                # what runs may end, and the other way round: the requests that queued up behind the last time
                assert now_s() - asked_s < 2 * (10.0 + LONGEST_CLOSE_S + LONGEST_LOAD_S + 1.0)
                house.leases[lease._worker] += 1
                await asyncio.sleep(1.0)
                house.leases[lease._worker] -= 1
        for task in busy:
            task.cancel()
        assert house.effects.count("launch cold") == 5

    run_virtually(main())
