"""How many threads train while the machine does other things too."""

import time

from puna.llama.training.session import TrainingSession
from puna.worker.governor import CpuMonitor, ThreadGovernor


class Pacer:
    """Leaves the cores that others use to them: one that spins beside them makes each step several times as slow."""

    def __init__(self, session: TrainingSession, governor: ThreadGovernor, monitor: CpuMonitor) -> None:
        self._session = session
        self._governor = governor
        self._monitor = monitor

    def adapt(self) -> None:
        """Look at the machine, where the last look is some time ago, and change the number of threads."""
        others = self._monitor.poll(time.monotonic())
        if others is not None:
            self._session.set_threads(self._governor.observe(others))
