"""/proc/cpuinfo of Linux."""

from pathlib import Path

from msgspec import Struct

_FILE = Path("/proc/cpuinfo")
_LIMIT_BYTES = 4 * 1024 * 1024
_NAMES = ("model name", "Model", "cpu model", "Hardware")
"""Keys that hold the processor's name, the best first: x86, Arm boards, MIPS, old Arm."""
_FLAGS = ("flags", "Features")
"""On x86, on Arm."""


class CpuInfo(Struct, frozen=True):
    """What it says of the first processor; empty where it says nothing."""

    name: str = ""
    flags: frozenset[str] = frozenset()


def parse_cpuinfo(text: str) -> CpuInfo:
    """Return name and flags. Pure."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        values.setdefault(key.strip(), value.strip())
    name = next((values[key] for key in _NAMES if values.get(key)), "")
    flags = next((values[key] for key in _FLAGS if values.get(key)), "")
    return CpuInfo(" ".join(name.split()), frozenset(flags.split()))


def read_cpuinfo(file: Path = _FILE) -> CpuInfo:
    """Read the file; without one all is empty."""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return parse_cpuinfo(stream.read(_LIMIT_BYTES))
    except OSError:
        return CpuInfo()
