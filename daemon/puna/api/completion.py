"""Whole texts, one or many at a time."""

import asyncio
from collections.abc import Sequence

from puna.api.exchange import Exchange
from puna.api.streaming import check_event
from puna.domain.generation import Completion, GenerationRequest
from puna.residency.coordinator import Lease


async def complete(lease: Lease, request: GenerationRequest, exchange: Exchange) -> Completion:
    """Return the text of one request, its tokens noted. Raises `PunaError`."""
    completion = await lease.complete(request)
    check_event(completion.finished)
    exchange.add_usage(completion.finished.usage)
    return completion


async def complete_all(
    lease: Lease, requests: Sequence[GenerationRequest], exchange: Exchange
) -> list[Completion]:
    """Return the texts in the order of the requests, which run at the same time.

    The first failure cancels the others and is raised. Raises `PunaError`.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(complete(lease, request, exchange)) for request in requests]
    except ExceptionGroup as failures:
        raise _first_leaf(failures) from failures
    return [task.result() for task in tasks]


def _first_leaf(error: Exception) -> Exception:
    return _first_leaf(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error
