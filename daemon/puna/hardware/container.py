"""What a container or service manager allows, which psutil does not know: Linux control groups, both versions."""

from pathlib import Path

from msgspec import Struct

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60
"""Version 1 writes a number about as large as the address space where there is no limit."""


class MemoryGroup(Struct, frozen=True):
    """What the groups around this process leave it of memory, in bytes."""

    limit_bytes: int
    """Of the tightest of them."""
    used_bytes: int
    """What of that cannot be had: it is used here, or elsewhere in a group around this one. Files in memory, mapped
    ones included, do not count, as in the system's own figure of available memory: it drops them when it must."""


def parse_own_groups(text: str) -> dict[str, str]:
    """Return the path of this process's group by controller, version 2 under the empty name. Pure.

    The lines of /proc/self/cgroup are `0::/user.slice/x` and, in version 1, `4:memory:/docker/abc`.
    """
    groups: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            groups.update(dict.fromkeys(parts[1].split(","), parts[2]))
    return groups


def read_memory_group(root: Path = _ROOT, own: Path = _OWN) -> MemoryGroup | None:
    """Return the limit that holds for this process; None where nothing limits its memory."""
    groups = parse_own_groups(_read(own))
    found = [
        *(_memory_v2(folder) for folder in _upwards(root, groups.get("", "/"))),
        *(_memory_v1(folder) for folder in _upwards(root / "memory", groups.get("memory", "/"))),
    ]
    groups_with_limit = [each for each in found if each]
    if not groups_with_limit:
        return None
    limit_bytes = min(each.limit_bytes for each in groups_with_limit)
    left_bytes = min(each.limit_bytes - each.used_bytes for each in groups_with_limit)
    return MemoryGroup(limit_bytes, max(0, limit_bytes - left_bytes))


def read_cpu_limit(root: Path = _ROOT, own: Path = _OWN) -> float | None:
    """Return the cores that this process's groups may use at a time; None where nothing limits them."""
    groups = parse_own_groups(_read(own))
    limits = [
        *(_cores(_read(folder / "cpu.max")) for folder in _upwards(root, groups.get("", "/"))),
        *(
            _cores(_read(folder / "cpu.cfs_quota_us").strip() + " " + _read(folder / "cpu.cfs_period_us"))
            for folder in _upwards(root / "cpu", groups.get("cpu", "/"))
        ),
    ]
    return min((limit for limit in limits if limit is not None), default=None)


def _memory_v2(folder: Path) -> MemoryGroup | None:
    """Read the hard limit, or the lower one above which the system slows a group down."""
    limits = ("memory.max", "memory.high")
    return _memory(folder, limits=limits, used="memory.current", cached=("inactive_file", "active_file"))


def _memory_v1(folder: Path) -> MemoryGroup | None:
    return _memory(
        folder,
        limits=("memory.limit_in_bytes",),
        used="memory.usage_in_bytes",
        cached=("total_inactive_file", "total_active_file"),
    )


def _memory(
    folder: Path, *, limits: tuple[str, ...], used: str, cached: tuple[str, ...]
) -> MemoryGroup | None:
    told = [number for limit in limits if (number := _number(_read(folder / limit))) is not None]
    limit_bytes = min(told, default=_NO_LIMIT)
    if limit_bytes >= _NO_LIMIT:
        return None
    figures = dict(line.partition(" ")[::2] for line in _read(folder / "memory.stat").splitlines())
    cached_bytes = sum(_number(figures.get(name, "")) or 0 for name in cached)
    return MemoryGroup(limit_bytes, max(0, (_number(_read(folder / used)) or 0) - cached_bytes))


def _cores(text: str) -> float | None:
    """Read quota and period; the quota is `max` or -1 where there is none."""
    quota, _, period = text.strip().partition(" ")
    cores, whole = _number(quota), _number(period)
    return cores / whole if cores is not None and whole else None


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _upwards(root: Path, group: str) -> list[Path]:
    """Return the folder of a group and those above it, up to the root.

    In a container the group may have the path that the host knows; then only the root is there.
    """
    folder = root / group.strip("/")
    return [each for each in (folder, *folder.parents) if each == root or root in each.parents]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
