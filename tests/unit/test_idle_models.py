"""How long a model stays in memory that nobody asks for, on a clock that jumps."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any

import pytest

from fakes.boundless_memory import BoundlessMemory
from fakes.scripted_model import ListedCatalogue, ScriptedLauncher
from fakes.virtual_time import now_s, run_virtually
from puna.domain.models import ModelKind
from puna.errors import InvalidRequestError, ModelNotFoundError
from puna.residency.coordinator import Coordinator
from puna.residency.place import Resident

IDLE_S = 1800.0


def run(main: Coroutine[Any, Any, None]) -> None:
    run_virtually(main)


def build(*, idle_timeout_s: float = IDLE_S) -> Coordinator:
    return Coordinator(
        ListedCatalogue("demo", "other", "embedder", "reranker"),
        ScriptedLauncher(),
        BoundlessMemory(),
        default_model="demo",
        max_loaded_models=4,
        queue_limit=8,
        idle_timeout_s=idle_timeout_s,
    )


async def use(coordinator: Coordinator, model: str = "demo", *, keep_alive_s: float | None = None) -> None:
    async with coordinator.acquire(model, keep_alive_s=keep_alive_s):
        pass


def the_resident(coordinator: Coordinator) -> Resident:
    (resident,) = coordinator.residents()
    return resident


def test_an_idle_model_leaves_after_its_time() -> None:
    async def main() -> None:
        coordinator = build()
        await use(coordinator)
        assert the_resident(coordinator).idle_s_left == IDLE_S
        await asyncio.sleep(IDLE_S - 1)
        assert the_resident(coordinator).idle_s_left == 1
        await asyncio.sleep(2)
        assert coordinator.residents() == ()
        await use(coordinator)
        assert the_resident(coordinator).entry.id == "demo"

    run(main())


def test_every_request_starts_the_time_anew() -> None:
    async def main() -> None:
        coordinator = build()
        for _ in range(3):
            await use(coordinator)
            await asyncio.sleep(IDLE_S - 1)
        assert the_resident(coordinator).idle_s_left == 1

    run(main())


def test_a_model_that_is_held_stays_however_long() -> None:
    async def main() -> None:
        coordinator = build()
        async with coordinator.acquire("demo") as lease:
            await asyncio.sleep(10 * IDLE_S)
            assert the_resident(coordinator).loaded is lease.loaded
        assert the_resident(coordinator).idle_s_left == IDLE_S

    run(main())


@pytest.mark.parametrize(("keep_alive_s", "left"), [(60.0, 60.0), (math.inf, None), (None, IDLE_S)])
def test_a_request_may_say_how_long(keep_alive_s: float | None, left: float | None) -> None:
    async def main() -> None:
        coordinator = build()
        await use(coordinator, keep_alive_s=keep_alive_s)
        assert the_resident(coordinator).idle_s_left == left
        await asyncio.sleep(61)
        assert bool(coordinator.residents()) is (left != 60)

    run(main())


def test_a_model_may_leave_right_behind_its_request() -> None:
    async def main() -> None:
        coordinator = build()
        async with coordinator.acquire("demo"):
            await use(coordinator, keep_alive_s=0)
            await asyncio.sleep(1)
            assert the_resident(coordinator).entry.id == "demo"
        await use(coordinator, keep_alive_s=0)
        await asyncio.sleep(0.01)
        assert coordinator.residents() == ()

    run(main())


def test_a_model_that_is_let_go_serves_those_who_have_it_and_leaves_then() -> None:
    async def main() -> None:
        coordinator = build()
        await use(coordinator, keep_alive_s=math.inf)
        async with coordinator.acquire("demo", keep_alive_s=math.inf):
            await coordinator.let_go("demo")
            await asyncio.sleep(IDLE_S)
            assert the_resident(coordinator).loaded is not None
        await asyncio.sleep(0.01)
        assert coordinator.residents() == ()
        await use(coordinator)
        assert the_resident(coordinator).idle_s_left == pytest.approx(IDLE_S), "it was for that time only"

    run(main())


def test_a_model_that_is_let_go_while_it_loads_serves_those_who_wait() -> None:
    async def main() -> None:
        coordinator = build()
        waiter = asyncio.create_task(use(coordinator))
        await asyncio.sleep(0)
        await coordinator.let_go("demo")
        await waiter
        await asyncio.sleep(0.01)
        assert coordinator.residents() == ()

    run(main())


def test_an_idle_model_that_is_let_go_is_gone_at_once() -> None:
    async def main() -> None:
        coordinator = build()
        await use(coordinator, keep_alive_s=math.inf)
        await coordinator.let_go("demo")
        assert coordinator.residents() == ()
        await coordinator.let_go("demo")
        with pytest.raises(ModelNotFoundError):
            await coordinator.let_go("nothing")

    run(main())


def test_a_model_that_was_loaded_and_never_used_leaves_too() -> None:
    async def main() -> None:
        coordinator = build()
        await coordinator.load("other")
        await asyncio.sleep(IDLE_S + 1)
        assert coordinator.residents() == ()
        async with coordinator.acquire(None) as lease:
            assert lease.entry.id == "other", "it is still the one that requests without a name get"

    run(main())


def test_without_a_timeout_models_stay() -> None:
    async def main() -> None:
        coordinator = build(idle_timeout_s=math.inf)
        await use(coordinator)
        assert the_resident(coordinator).idle_s_left is None
        await asyncio.sleep(20 * IDLE_S)
        assert the_resident(coordinator).entry.id == "demo"
        assert now_s() > 0

    run(main())


def test_a_model_of_the_wrong_kind_is_refused_before_it_is_loaded() -> None:
    async def main() -> None:
        coordinator = build()
        for model, kind, words in (
            ("demo", ModelKind.EMBEDDING, "demo is a text model"),
            ("embedder", ModelKind.TEXT, "embedder is an embedding model"),
            ("reranker", ModelKind.EMBEDDING, "reranker is a reranker"),
        ):
            with pytest.raises(InvalidRequestError, match=words) as refused:
                async with coordinator.acquire(model, kind=kind):
                    pass
            assert refused.value.field == "model"
        assert coordinator.residents() == ()

    run(main())
