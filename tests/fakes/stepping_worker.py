"""A worker of time alone: it steps, admits and gives slots back as the real one does, and computes nothing."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from msgspec.structs import replace

from fakes.scripted_model import LOADED
from fakes.text_only import TextOnly
from fakes.virtual_time import now_s
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    TextDelta,
    Timing,
    Usage,
)
from puna.domain.memory import LoadPlan
from puna.domain.models import LoadedModel, ModelEntry, WorkerStatus
from puna.worker.admission import plan_turn

STEP_S = (0.014, 0.031, 0.036, 0.038, 0.040, 0.042, 0.044, 0.046)
"""What a step with 1, 2, ... 8 tokens cost on a desktop's CPU with a 0.5B model at Q8_0."""


class _Ticket:
    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self.asked_s = now_s()
        self.queue_s: float | None = None
        self.tokens_left = request.max_tokens or 1
        self.is_done = asyncio.Event()


class SteppingWorker(TextOnly):
    """Eight slots; every step gives each of them a token."""

    def __init__(self) -> None:
        self.loaded: LoadedModel = replace(LOADED, slots=len(STEP_S))
        self.status = WorkerStatus()
        self.is_alive = True
        self.active: list[_Ticket] = []
        self.waiting: list[_Ticket] = []
        self._stepping: asyncio.Task[None] | None = None

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        ticket = _Ticket(request)
        self.waiting.append(ticket)
        if self._stepping is None or self._stepping.done():
            self._stepping = asyncio.create_task(self._run())
        try:
            await ticket.is_done.wait()
            yield TextDelta("text")
            timing = Timing(queue_s=ticket.queue_s or 0.0)
            yield Finished(FinishReason.LENGTH, Usage(0, request.max_tokens or 1), timing)
        finally:
            for tickets in (self.active, self.waiting):
                if ticket in tickets:
                    tickets.remove(ticket)

    async def close(self) -> None:
        self.is_alive = False

    async def _run(self) -> None:
        while self.active or self.waiting:
            self._admit()
            await asyncio.sleep(STEP_S[len(self.active) - 1])
            for ticket in list(self.active):
                ticket.tokens_left -= 1
                if not ticket.tokens_left:
                    self.active.remove(ticket)
                    ticket.is_done.set()

    def _admit(self) -> None:
        active, waiting = list(self.active), list(self.waiting)
        turn = plan_turn(
            [ticket.request.priority for ticket in active],
            [ticket.request.priority for ticket in waiting],
            slots=self.loaded.slots,
        )
        for ticket in (active[index] for index in turn.give_back):
            self.active.remove(ticket)
            self.waiting.insert(0, ticket)
        for ticket in (waiting[index] for index in turn.admit):
            self.waiting.remove(ticket)
            self.active.append(ticket)
            ticket.queue_s = now_s() - ticket.asked_s if ticket.queue_s is None else ticket.queue_s


class SteppingLauncher:
    """Starts stepping workers."""

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> SteppingWorker:
        return SteppingWorker()
