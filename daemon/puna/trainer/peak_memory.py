"""The most memory that this process ever had."""

import re
import sys
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_HIGH_WATER = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)


def peak_memory() -> int:
    """Return it in bytes, as the system tells it: resident, shared libraries and the mapped base included."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # On Linux `getrusage` has what the parent had before it became this program.
    if sys.platform == "linux" and (found := _HIGH_WATER.search(_STATUS.read_bytes())):
        return int(found[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
