"""How many of the cores are fast ones, where a processor has two kinds."""

import ctypes
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_CORE = 0
"""RelationProcessorCore of LOGICAL_PROCESSOR_RELATIONSHIP (winnt.h)."""


def parse_cpu_list(text: str) -> list[int]:
    """Return the numbers in a list of Linux such as `0-3,8`. Pure; what is no number is left out."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def fastest_of(speeds: Sequence[int]) -> int | None:
    """Return how many cores have the largest speed; None where all are alike or nothing is known. Pure.

    Cores within a tenth of the fastest count as fast: some are binned a little higher than their neighbours.
    """
    if not speeds or min(speeds) >= 0.9 * max(speeds):
        return None
    return sum(speed >= 0.9 * max(speeds) for speed in speeds)


def efficiency_classes(buffer: bytes) -> list[int]:
    """Return the class of each core from GetLogicalProcessorInformationEx of Windows; larger is faster. Pure."""
    return [data[9] for relation, data in _records(buffer) if relation == _CORE and len(data) > 9]


def _records(buffer: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield relationship and bytes of each SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX."""
    start = 0
    while start + 8 <= len(buffer):
        relation, size = struct.unpack_from("<II", buffer, start)
        if size < 8:
            return
        yield relation, buffer[start : start + size]
        start += size


def count_of_linux(root: Path = Path("/sys/devices")) -> int | None:
    """Count the performance cores of Linux: Intel's are listed, Arm's and AMD's tell their capacity or frequency."""
    listed = parse_cpu_list(_read(root / "cpu_core" / "cpus"))
    if listed and _read(root / "cpu_atom" / "cpus").strip():
        return len({_core_of(root, number) for number in listed})
    speeds = {}
    for folder in sorted((root / "system" / "cpu").glob("cpu[0-9]*")):
        speed = _read(folder / "cpu_capacity") or _read(folder / "cpufreq" / "cpuinfo_max_freq")
        if speed.strip().isdigit():
            speeds[_core_of(root, int(folder.name.removeprefix("cpu")))] = int(speed)
    return fastest_of(list(speeds.values()))


def _core_of(root: Path, number: int) -> str:
    """Return what names the physical core behind a logical one: its hyper-threads share it."""
    siblings = _read(root / "system" / "cpu" / f"cpu{number}" / "topology" / "thread_siblings_list").strip()
    return siblings or str(number)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


if sys.platform == "win32":

    def count_performance_cores() -> int | None:
        """Return the number of fast cores; None where all are alike or the system does not say."""
        call = ctypes.windll.kernel32.GetLogicalProcessorInformationEx
        size = ctypes.c_ulong(0)
        call(_CORE, None, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(max(size.value, 1))
        if not call(_CORE, buffer, ctypes.byref(size)):
            return None
        return fastest_of([1 + number for number in efficiency_classes(buffer.raw[: size.value])])

elif sys.platform == "darwin":

    def count_performance_cores() -> int | None:
        """Return the number of fast cores; None where all are alike or the system does not say."""
        from puna.hardware.sysctl import read_number

        return read_number("hw.perflevel0.physicalcpu") or None if read_number("hw.nperflevels") > 1 else None

else:

    def count_performance_cores() -> int | None:
        """Return the number of fast cores; None where all are alike or the system does not say."""
        return count_of_linux()
