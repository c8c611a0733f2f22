"""The course of one training in the child."""

from collections.abc import Callable

from puna.engine.trainer_protocol import Cancelled, FromTrainer, Prepared
from puna.trainer.inbox import EXIT_OK, CancelledError, Inbox, Job
from puna.trainer.preparation import prepare
from puna.trainer.training import Training


def train(
    job: Job, inbox: Inbox, tell: Callable[[FromTrainer], None], on_progress: Callable[[float], None]
) -> int:
    """Prepare, wait for the word, train. Returns the exit code; raises `PunaError` and `LlamaError`."""
    training: Training | None = None
    try:
        training = prepare(job, on_progress)
        tell(Prepared(training.plan))
        inbox.wait_for_begin()
        training.run(tell, inbox.check)
    except CancelledError:
        _stop(training, tell, keeps_checkpoint=inbox.keeps_checkpoint)
    return EXIT_OK


def _stop(training: Training | None, tell: Callable[[FromTrainer], None], *, keeps_checkpoint: bool) -> None:
    step = 0 if training is None else training.step
    has_checkpoint = keeps_checkpoint and step > 0
    if training is not None and has_checkpoint:
        training.save()
    if training is not None and not keeps_checkpoint:
        training.discard()
    tell(Cancelled(step, has_checkpoint))
