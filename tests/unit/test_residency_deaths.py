"""A worker that dies again and again, on a clock that jumps."""

import random
from collections.abc import Coroutine
from typing import Any

import pytest

from fakes.house import GIB, House, make_shape
from fakes.virtual_time import now_s, run_virtually
from puna.domain.generation import GenerationRequest, TextPrompt
from puna.domain.memory import CPU
from puna.domain.models import ModelState
from puna.errors import ModelLoadError, OverloadedError, WorkerDiedError
from puna.residency.backoff import wait_before_load
from puna.residency.coordinator import Coordinator

REQUEST = GenerationRequest(prompt=TextPrompt("x"))
LOAD_S = 5.0


def run(main: Coroutine[Any, Any, None]) -> None:
    run_virtually(main)


def build() -> tuple[House, Coordinator]:
    house = House(random.Random(1), {"m": make_shape(GIB)}, main_bytes=8 * GIB)
    coordinator = Coordinator(
        house, house, house, default_model="m", max_loaded_models=2, queue_limit=8, room_timeout_s=600.0
    )
    return house, coordinator


async def let_die(house: House, coordinator: Coordinator) -> None:
    async with coordinator.acquire("m"):
        house.workers[-1].die()


async def answer(coordinator: Coordinator) -> None:
    async with coordinator.acquire("m") as lease:
        await lease.complete(REQUEST)


def test_the_first_death_costs_no_wait_and_the_second_some_seconds() -> None:
    async def main() -> None:
        house, coordinator = build()
        await let_die(house, coordinator)
        asked_s = now_s()
        await let_die(house, coordinator)
        assert now_s() - asked_s <= LOAD_S + 0.1
        asked_s = now_s()
        async with coordinator.acquire("m"):
            assert now_s() - asked_s >= 5.0

    run(main())


def test_after_the_third_death_in_a_row_it_is_given_up_until_somebody_loads_it() -> None:
    async def main() -> None:
        house, coordinator = build()
        for _ in range(3):
            await let_die(house, coordinator)
        for _ in range(2):
            with pytest.raises(WorkerDiedError, match="died 3 times in a row"):
                await answer(coordinator)
        (resident,) = coordinator.residents()
        assert (resident.state, resident.deaths) == (ModelState.FAILED, 3)
        assert house.effects.count("launch m") == 3
        assert (await coordinator.load("m")).already_loaded is False
        await answer(coordinator)

    run(main())


def test_an_answer_between_makes_the_deaths_start_anew() -> None:
    async def main() -> None:
        house, coordinator = build()
        for _ in range(5):
            await let_die(house, coordinator)
            await answer(coordinator)
        assert coordinator.residents()[0].deaths == 0

    run(main())


def test_deaths_while_loading_count_too() -> None:
    async def main() -> None:
        house, coordinator = build()
        house.dies_loading = 1.0
        for _ in range(3):
            with pytest.raises(ModelLoadError, match="while it loaded"):
                await answer(coordinator)
        with pytest.raises(WorkerDiedError, match="died 3 times in a row"):
            await answer(coordinator)
        assert coordinator.ledger.claims == 0

    run(main())


def test_a_file_that_is_refused_is_no_death() -> None:
    async def main() -> None:
        house, coordinator = build()
        house.bad_files.add("m")
        for _ in range(5):
            with pytest.raises(ModelLoadError, match="damaged"):
                await answer(coordinator)
        house.bad_files.clear()
        await answer(coordinator)

    run(main())


def test_what_the_gpu_does_not_take_after_all_goes_to_the_cpu() -> None:
    async def main() -> None:
        house = House(random.Random(1), {"m": make_shape(GIB)}, main_bytes=8 * GIB, gpu_bytes=8 * GIB)
        coordinator = Coordinator(
            house, house, house, default_model="m", max_loaded_models=2, queue_limit=8, room_timeout_s=600.0
        )
        house.is_gpu_broken = True
        await answer(coordinator)
        (resident,) = coordinator.residents()
        assert resident.plan is not None
        assert resident.plan.gpu_layers == 0
        assert "could not be put on the GPU" in resident.plan.placement_reason
        assert coordinator.ledger.claimed("GPU0") == 0
        assert coordinator.ledger.claimed(CPU) > GIB
        assert resident.deaths == 0

    run(main())


def test_the_wait_for_room_after_a_load_that_the_gpu_did_not_take_has_an_end_too() -> None:
    async def main() -> None:
        house = House(
            random.Random(1),
            {"m": make_shape(2 * GIB), "busy": make_shape(2 * GIB)},
            main_bytes=4 * GIB,
            gpu_bytes=3 * GIB,
        )
        coordinator = Coordinator(
            house, house, house, default_model="m", max_loaded_models=2, queue_limit=8, room_timeout_s=0.05
        )
        house.is_gpu_broken = True
        async with coordinator.acquire("busy"):
            asked_s = now_s()
            with pytest.raises(OverloadedError, match=r"m found no room .* because busy was in use"):
                await answer(coordinator)
            assert now_s() - asked_s < LOAD_S + 0.2
        await coordinator.close()

    run(main())


def test_the_wait_counts_from_the_death() -> None:
    assert wait_before_load(0, 0.0, 0.0) == 0.0
    assert wait_before_load(1, 100.0, 100.0) == 0.0
    assert wait_before_load(2, 100.0, 101.0) == 4.0
    assert wait_before_load(2, 100.0, 200.0) == 0.0
