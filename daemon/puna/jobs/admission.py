"""Which orders are accepted. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from puna.errors import InvalidRequestError, OverloadedError
from puna.jobs.job import JobOrder

_RETRY_AFTER_S = 30.0


class JobLimits(Struct, frozen=True, kw_only=True):
    """Bounds of jobs; the settings of the same names say more."""

    tasks: int
    """Tasks of one job."""
    characters: int
    """Characters of all its conversations together."""
    open_jobs_of_organisation: int
    """Jobs of one organisation that have not ended."""
    open_jobs: int
    """Jobs of all organisations that have not ended."""


def check_size(order: JobOrder, limits: JobLimits) -> None:
    """Refuse a job that is too large. Raises `InvalidRequestError`, which names both numbers."""
    tasks = len(order.conversations)
    if tasks > limits.tasks:
        raise InvalidRequestError(
            f"The job has {tasks} conversations; at most {limits.tasks} are allowed. Send several jobs.",
            field="messages",
        )
    characters = sum(len(message.content) for turns in order.conversations for message in turns)
    if characters > limits.characters:
        raise InvalidRequestError(
            f"The conversations have {characters} characters; at most {limits.characters} are allowed in one "
            "job. Send several jobs.",
            field="messages",
        )


def check_room(organisation_id: str, owners: Iterable[str], limits: JobLimits) -> None:
    """Refuse a job while too many are open. Raises `OverloadedError`.

    `owners` are the organisations of all open jobs, one for each.
    """
    all_owners = list(owners)
    own = all_owners.count(organisation_id)
    if own >= limits.open_jobs_of_organisation:
        raise OverloadedError(
            f"The organisation has {own} open jobs already; try again when one has ended.",
            retry_after_s=_RETRY_AFTER_S,
        )
    if len(all_owners) >= limits.open_jobs:
        raise OverloadedError(
            f"{len(all_owners)} jobs are open already; try again when one has ended.",
            retry_after_s=_RETRY_AFTER_S,
        )
