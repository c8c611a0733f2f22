"""One task at the model: what can happen there, as an outcome."""

import logging

from puna.domain.generation import FinishReason, GenerationRequest
from puna.errors import (
    GenerationTimeoutError,
    ModelLoadError,
    ModelNotFoundError,
    OverloadedError,
    PunaError,
    WorkerDiedError,
)
from puna.jobs.entries import Answered, Interrupted, Lost, ModelUnusable, Outcome, Refused
from puna.jobs.ports import Lease

_log = logging.getLogger(__name__)

_RETRY_AFTER_S = 1.0


async def run_task(lease: Lease, request: GenerationRequest) -> Outcome:
    """Ask the model. Cancelling aborts the request."""
    try:
        completion = await lease.complete(request)
    except Exception as error:  # noqa: BLE001 - a border: the task gets an end, whatever it is
        return outcome_of_error(error)
    if completion.finished.reason is FinishReason.ABORT:
        return Interrupted(_RETRY_AFTER_S)
    return Answered(completion.text)


def outcome_of_error(error: Exception) -> Outcome:
    """Return what an error means for the task that met it, while its model was loaded or while it ran."""
    match error:
        case OverloadedError():
            return Interrupted(error.retry_after_s or _RETRY_AFTER_S)
        case ModelNotFoundError() | ModelLoadError():
            return ModelUnusable(error.message)
        case WorkerDiedError() | GenerationTimeoutError():
            return Lost(error.message)
        case PunaError():
            return Refused(error.message)
        case _:
            _log.error("a task failed for a reason that nobody expected", exc_info=error)
            return Refused("Internal error; see `puna logs`.")
