"""Whole texts, one or many at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from puna.api.exchange import Exchange
from puna.api.streaming import check_finished
from puna.domain.generation import Completion, GenerationRequest
from puna.residency.lease import Lease

_Result = TypeVar("_Result")


async def complete(lease: Lease, request: GenerationRequest, exchange: Exchange) -> Completion:
    """Return the text of one request, its tokens noted. Raises `PunaError`."""
    completion = await lease.complete(request)
    check_finished(completion.finished)
    exchange.add_usage(completion.finished.usage)
    return completion


async def complete_all(
    lease: Lease, requests: Sequence[GenerationRequest], exchange: Exchange, *, at_once: int | None = None
) -> list[Completion]:
    """Return the texts in the order of the requests, which run at the same time; errors as in `run_together`."""
    return await run_together(
        [partial(complete, lease, request, exchange) for request in requests], at_once=at_once
    )


async def run_together(
    works: Sequence[Callable[[], Awaitable[_Result]]], *, at_once: int | None = None
) -> list[_Result]:
    """Return the results in the order of the works, which run at the same time, or so many of them.

    The first failure cancels the others and is raised. Raises `PunaError`.
    """
    gate = asyncio.Semaphore(at_once or len(works) or 1)

    async def run(work: Callable[[], Awaitable[_Result]]) -> _Result:
        async with gate:
            return await work()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(work)) for work in works]
    except ExceptionGroup as failures:
        raise _first_leaf(failures) from failures
    return [task.result() for task in tasks]


def _first_leaf(error: Exception) -> Exception:
    return _first_leaf(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error
