"""The room that a model has in memory: its claim, and the worker that fills it."""

import asyncio

from puna.domain.memory import LoadPlan
from puna.residency.ledger import claim_of
from puna.residency.ports import Worker


class Seat:
    """Made when a claim is made; the worker comes when it has loaded. Only the coordinator touches it."""

    def __init__(self, plan: LoadPlan, claim_number: int) -> None:
        self.plan = plan
        self.claim = claim_of(plan)
        self.claim_number = claim_number
        self.worker: Worker | None = None
        self.watch: asyncio.Task[None] | None = None
        """Waits for the worker's end."""

    @property
    def is_ready(self) -> bool:
        """Whether requests can go in now."""
        return self.worker is not None and self.worker.is_alive

    @property
    def is_lost(self) -> bool:
        """Whether there was a worker, and is none any more."""
        return self.worker is not None and not self.worker.is_alive
