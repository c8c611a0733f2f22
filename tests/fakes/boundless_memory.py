"""Memory that never ends, for tests of everything else."""

from collections.abc import Sequence

from puna.domain.memory import LoadPlan, Shortfall
from puna.domain.models import ModelEntry
from puna.residency.ledger import Reading, Rooms
from puna.residency.policy import Fit


class BoundlessMemory:
    """Every model fits everywhere."""

    async def read(self) -> Sequence[Reading]:
        return ()

    async def appraise(self, entry: ModelEntry) -> Fit:
        return _fit_all


def _fit_all(_: Rooms) -> LoadPlan | Shortfall:
    return LoadPlan()
