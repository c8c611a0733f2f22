"""Fine-tuning over a scripted trainer: everything is real but the child."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from puna.domain.datasets import DatasetLimits
from puna.domain.finetune import FinetuneOrder
from puna.domain.finetune_events import FinetuneEvent
from puna.domain.models import ModelEntry
from puna.domain.training import (
    Evaluation,
    TrainingEstimate,
    TrainingPlan,
    TrainingProgress,
    TrainingResult,
    TrainingSettings,
)
from puna.engine.trainer_process import TrainerProcess
from puna.engine.trainer_protocol import (
    Begin,
    Cancel,
    Cancelled,
    Checkpointed,
    Configure,
    Done,
    Evaluated,
    FromTrainer,
    Prepare,
    Prepared,
    Stepped,
    ToTrainer,
)
from puna.errors import ModelNotFoundError
from puna.finetune.adapters import AdapterShelf
from puna.finetune.datasets.store import DatasetStore
from puna.finetune.journal import StoredJournal
from puna.finetune.service import FinetuneService
from puna.finetune.workshop import Workshop
from puna.paths import Paths
from puna.store.database import Database

DEMO = Paths.for_user().demo_model
KILLED = "signal 9 (SIGKILL)"
ABORTED = "signal 6 (SIGABRT); its last words: GGML_ASSERT(src0->ne[0] == 1) failed"
BEFORE = Evaluation(samples=3, loss=2.0, exact=0, choices=3, right=1)
AFTER = Evaluation(samples=3, loss=0.1, exact=3, choices=3, right=3)
PLAN = TrainingPlan(
    architecture="llama",
    samples=9,
    too_long=0,
    too_long_rows=(),
    without_answer=0,
    tokens=90,
    answer_tokens=18,
    row_length=256,
    rows=2,
    steps=6,
    first_step=0,
    parameters=1000,
    threads=1,
    notes=(),
    estimate=TrainingEstimate(seconds=1.0, memory_bytes=1 << 20),
)
RESULT = TrainingResult(
    steps=6, loss=0.2, before=BEFORE, after=AFTER, seconds=4.5, memory_bytes=1 << 20, parameters=1000
)


def step(number: int) -> Stepped:
    return Stepped(
        TrainingProgress(
            step=number,
            steps=6,
            epoch=number / 2,
            loss=1.0,
            learning_rate=1e-4,
            tokens_per_s=100.0,
            seconds_left=1.0,
        )
    )


WHOLE: tuple[FromTrainer, ...] = (
    Evaluated(False, BEFORE),
    step(1),
    Checkpointed(1),
    step(6),
    Evaluated(True, AFTER),
    Done(RESULT),
)
"""What a trainer says that trains to the end."""


@dataclass
class ScriptedTrainer:
    """Says what it is told to after `Begin`; then its end is told, or it waits for `Cancel` where there is none."""

    said: Sequence[FromTrainer] = WHOLE
    ending: str | None = None
    plan: TrainingPlan = PLAN
    given: list[ToTrainer] = field(default_factory=list)
    is_ended: bool = False
    pid = 1
    _news: asyncio.Queue[list[FromTrainer] | None] = field(default_factory=asyncio.Queue)

    async def tell(self, messages: Sequence[ToTrainer]) -> None:
        for message in messages:
            self.given.append(message)
            match message:
                case Prepare():
                    self._news.put_nowait([Prepared(self.plan)])
                case Begin():
                    self._speak()
                case Cancel(keeps_checkpoint):
                    if keeps_checkpoint:
                        self._save()
                    self._news.put_nowait([Cancelled(1, has_checkpoint=keeps_checkpoint)])
                case _:
                    continue

    def _speak(self) -> None:
        for message in self.said:
            if isinstance(message, Checkpointed):
                self._save()
            if isinstance(message, Done):
                Path(self.configure.adapter).write_bytes(b"GGUF adapter")
            self._news.put_nowait([message])
        if self.ending is not None:
            self._news.put_nowait(None)

    def _save(self) -> None:
        Path(self.configure.checkpoint).write_bytes(b"learnt")

    async def hear(self) -> list[FromTrainer] | None:
        return await self._news.get()

    async def describe_end(self) -> str:
        return self.ending or "exit code 0"

    async def end(self, grace_s: float) -> None:
        self.is_ended = True

    def kill(self) -> None:
        self.ending = KILLED
        self._news.put_nowait(None)

    @property
    def configure(self) -> Configure:
        return next(each for each in self.given if isinstance(each, Configure))

    def given_of(self, kind: type[ToTrainer]) -> list[ToTrainer]:
        return [each for each in self.given if isinstance(each, kind)]


@dataclass
class FakeBases:
    """The catalogue: the demo model and what a test adds."""

    entries: dict[str, ModelEntry] = field(
        default_factory=lambda: {
            "demo": ModelEntry(
                id="demo",
                name="Demo",
                path=DEMO,
                size_bytes=DEMO.stat().st_size,
                architecture="llama",
            )
        }
    )

    async def find(self, name: str) -> ModelEntry:
        if name not in self.entries:
            raise ModelNotFoundError(f"There is no model {name}.")
        return self.entries[name]


@dataclass
class Published:
    """Takes note of what others would be told."""

    events: list[FinetuneEvent] = field(default_factory=list)

    async def publish(self, event: FinetuneEvent) -> None:
        self.events.append(event)


@dataclass
class Finetuning:
    """What a test can reach of it."""

    service: FinetuneService
    workshop: Workshop
    datasets: DatasetStore
    adapters: AdapterShelf
    published: Published
    bases: FakeBases
    trainers: list[ScriptedTrainer]
    """Those that were started."""
    coming: deque[ScriptedTrainer]
    """Those that are started next; then come such that train to the end."""

    def add(self, rows: int = 30) -> str:
        """Add a dataset with two labels; return its id."""
        lines = (f"the text number {i},{'red' if i % 2 else 'blue'}\n" for i in range(rows))
        return self.datasets.add([b"text,label\n", "".join(lines).encode()], name="a.csv").id

    def order_of(
        self, *, seed: int = 1, model: str = "demo", organisation: str | None = None
    ) -> FinetuneOrder:
        return FinetuneOrder(
            model=model,
            dataset=self.add(),
            settings=TrainingSettings(seed=seed),
            name="colours",
            organisation_id=organisation,
        )


@asynccontextmanager
async def run_finetuning(
    folder: Path, *trainers: ScriptedTrainer, now: Callable[[], float] = lambda: 1000.0
) -> AsyncIterator[Finetuning]:
    """Run the service on a real database and folder; these trainers are started, in this order."""
    paths = Paths.under(folder)
    started: list[ScriptedTrainer] = []
    coming = deque(trainers)

    async def launch(_: Path) -> TrainerProcess:
        trainer = coming.popleft() if coming else ScriptedTrainer()
        started.append(trainer)
        return cast("TrainerProcess", trainer)

    with Database.open(paths.database_file) as database:
        datasets = DatasetStore(paths.dataset_dir, DatasetLimits())
        datasets.open()
        adapters = AdapterShelf(paths.adapter_dir)
        await adapters.open()
        bases, published = FakeBases(), Published()
        workshop = Workshop(
            bases=bases,
            datasets=datasets,
            adapters=adapters,
            launch=launch,
            folder=paths.finetune_dir,
            log_folder=paths.worker_log_dir,
            now=now,
        )
        service = FinetuneService(
            workshop, StoredJournal(database), published, default_organisation="org_default", now=now
        )
        await service.start()
        try:
            yield Finetuning(service, workshop, datasets, adapters, published, bases, started, coming)
        finally:
            await service.close()
