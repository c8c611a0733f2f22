"""How many threads llama.cpp may use while the machine does other things too.

llama.cpp's threads spin at every barrier: one core taken by another process slows decoding with all cores to a
fraction, while one thread less costs only its share. So the governor uses the cores that are really free.
"""

import time
from collections.abc import Callable

import psutil
from msgspec import Struct

from puna.domain.hardware import Processor
from puna.hardware.processor import read_processor

_ROUNDING = 0.3
"""A core counts as free while others use less than this much of it."""
_DOWN_AFTER = 2
_UP_AFTER = 8
"""Observations in a row before a change: quick to yield, slow to take back."""
_SLOW_STEP = 4.0
"""A step this many times its expected cost means that a thread waits for a core."""
_SLOW_STEPS = 3


class ThreadGovernor:
    """Decides the number of threads from what others use; pure, fed by `observe`."""

    def __init__(self, *, cores: int, logical_cores: int, fixed: int | None = None) -> None:
        """`cores` are physical (the most that is ever used), `logical_cores` what the system schedules on."""
        self._most = max(1, fixed or cores)
        self._logical = logical_cores
        self._is_fixed = fixed is not None
        self._has_observed = False
        self._votes = 0
        self._slow_steps = 0
        self.threads = self._most

    def observe(self, others: float) -> int:
        """Take in how many cores other processes used lately; return the threads to use.

        The first observation counts at once: it is what the machine did while the model was loaded.
        """
        if self._is_fixed:
            return self.threads
        wanted = min(self._most, max(1, int(self._logical - others + _ROUNDING)))
        if not self._has_observed:
            self._has_observed = True
            self._change(wanted)
        elif wanted == self.threads:
            self._votes = 0
        elif wanted < self.threads:
            self._votes = min(self._votes, 0) - 1
        else:
            self._votes = max(self._votes, 0) + 1
        if self._votes <= -_DOWN_AFTER:
            self._change(wanted)
        elif self._votes >= _UP_AFTER:
            self._change(self.threads + 1)
        return self.threads

    def observe_step(self, seconds: float, expected_s: float) -> int:
        """Take in what a step cost against its estimate; several slow ones in a row give up a thread."""
        self._slow_steps = self._slow_steps + 1 if seconds > _SLOW_STEP * expected_s else 0
        if self._slow_steps >= _SLOW_STEPS and not self._is_fixed:
            self._change(max(1, self.threads - 1))
        return self.threads

    def _change(self, threads: int) -> None:
        self.threads = threads
        self._votes = 0
        self._slow_steps = 0


class CpuTimes(Struct, frozen=True):
    """Seconds since some start: all processes' work, this process's work, and the clock."""

    total_s: float
    own_s: float
    at_s: float


def read_cpu_times() -> CpuTimes:
    """Read the system's and this process's counters (some 0.1 ms)."""
    system = psutil.cpu_times()
    own = psutil.Process().cpu_times()
    idle = system.idle + getattr(system, "iowait", 0.0) + getattr(system, "guest", 0.0)
    return CpuTimes(sum(system) - idle, own.user + own.system, time.monotonic())


class CpuMonitor:
    """Tells at most every `interval_s` seconds how many cores other processes used since the last time."""

    def __init__(self, read: Callable[[], CpuTimes] = read_cpu_times, interval_s: float = 0.25) -> None:
        self._read = read
        self._interval_s = interval_s
        self._last = read()

    def poll(self, now_s: float) -> float | None:
        """Return the cores used by others, or None when the interval is not over. `now_s` is monotonic."""
        if now_s - self._last.at_s < self._interval_s:
            return None
        last, self._last = self._last, self._read()
        elapsed_s = max(self._last.at_s - last.at_s, 1e-3)
        busy_s = (self._last.total_s - last.total_s) - (self._last.own_s - last.own_s)
        return max(0.0, busy_s / elapsed_s)


def count_cores() -> tuple[int, int]:
    """Return the cores worth a thread each, and the logical ones that this process may use."""
    logical = psutil.cpu_count() or 1
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        logical = len(process.cpu_affinity() or range(logical))
    return min(most_threads(read_processor()), logical), logical


def most_threads(processor: Processor) -> int:
    """Return how many threads gain anything: one for each fast core, within what a container allows. Pure.

    Slower cores hold the others up at every barrier, and what a container does not allow is taken away again.
    """
    cores = processor.performance_cores or processor.physical_cores
    allowed = cores if processor.usable_cores is None else int(processor.usable_cores)
    return max(1, min(cores, allowed))


def start_governor(monitor: CpuMonitor, *, fixed: int | None) -> ThreadGovernor:
    """Return a governor that knows what the machine did while the model was loaded; `fixed` threads never change."""
    cores, logical_cores = count_cores()
    governor = ThreadGovernor(cores=cores, logical_cores=logical_cores, fixed=fixed)
    others = monitor.poll(time.monotonic())
    if others is not None:
        governor.observe(others)
    return governor
