"""Start-up and memory at rest."""

import statistics
import sys
import time

from benchmarks.daemon import run_daemon


def measure_start(runs: int) -> None:
    """Print the time to the first healthy answer and the memory at rest, without a model."""
    times_s, memory_mib = [], []
    for _ in range(runs):
        with run_daemon("--no-load-on-start") as daemon:
            times_s.append(daemon.start_s)
            time.sleep(0.5)
            if sys.platform == "linux":
                memory_mib.append(daemon.resident_mib())
    print(f"start to /health 200      {statistics.median(times_s):.2f} s")
    if memory_mib:
        print(f"memory without a model    {statistics.median(memory_mib):.0f} MiB")
