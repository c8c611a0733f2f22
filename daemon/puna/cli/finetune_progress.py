"""Watching a training: the daemon trains, the terminal shows how far it is."""

import sys
from collections.abc import Iterator
from typing import Protocol

from puna.cli.figures import show_count
from puna.cli.finetune_words import plan_lines, stage
from puna.cli.status import show_duration
from puna.domain.finetune import FinetuneJob, FinetuneState
from puna.errors import NotRunningError
from puna.terminal.redrawing import can_redraw

_BEFORE_THE_PLAN = (FinetuneState.QUEUED, FinetuneState.PREPARING)
"""A training that is resumed still has the plan of its last attempt then."""


class Trainings(Protocol):
    """The daemon's trainings. The method raises `PunaError`."""

    def follow(self, job: FinetuneJob) -> Iterator[FinetuneJob]:
        """Yield how far it is, until it is over."""
        ...


class Display(Protocol):
    """Shows how far a training is."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, job: FinetuneJob) -> None:
        """Show a state."""
        ...

    def say(self, line: str) -> None:
        """Show a line that stays."""
        ...


def watch(trainings: Trainings, begun: FinetuneJob) -> FinetuneJob:
    """Show on standard error how far a training is, its plan when that is known, and return how it ended.

    Raises `PunaError`, and `NotRunningError` when the daemon stops before.
    """
    display: Display = Bar() if can_redraw(sys.stderr) else Lines()
    last, is_planned = begun, False
    with display:
        for last in trainings.follow(begun):
            if last.plan is not None and last.state not in _BEFORE_THE_PLAN and not is_planned:
                is_planned = True
                for line in plan_lines(last.plan):
                    display.say(line)
            display.show(last)
    if last.is_open:
        raise NotRunningError(
            f"Puna stopped. The training {last.id} goes on when it runs again; "
            f"`puna finetune --follow {last.id}` shows it."
        )
    return last


class Bar:
    """A progress bar: loss, tokens in a second, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("waiting", total=None, speed="")

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: FinetuneJob) -> None:
        """Show a state."""
        self._progress.update(
            self._task,
            description=stage(job),
            total=job.progress.steps if job.progress else None,
            completed=job.progress.step if job.progress else 0,
            speed=speed(job),
        )

    def say(self, line: str) -> None:
        """Show a line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False)


class Lines:
    """A line for each stage and each tenth, for logs and pipes."""

    def __init__(self) -> None:
        self._told = ""

    def __enter__(self) -> None:
        """Say nothing yet."""

    def __exit__(self, *_: object) -> None:
        """Say nothing more."""

    def show(self, job: FinetuneJob) -> None:
        """Tell a new stage, or a further tenth."""
        progress = job.progress
        if not job.is_open:
            return
        mark = (
            f"{10 * (10 * progress.step // progress.steps)} %" if progress and progress.steps else stage(job)
        )
        if mark != self._told:
            self._told = mark
            self.say(f"{mark}, {stage(job)}, {speed(job)}" if progress else mark)

    def say(self, line: str) -> None:
        """Print a line."""
        print(f"puna: {line}", file=sys.stderr)


def speed(job: FinetuneJob) -> str:
    """Return how fast it goes, and the time left."""
    if job.progress is None:
        return ""
    rate = show_count(round(job.progress.tokens_per_s))
    return f"{rate} tokens/s, {show_duration(job.progress.seconds_left)} left"
