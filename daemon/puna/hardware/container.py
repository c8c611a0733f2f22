"""What a container or service manager allows, which psutil does not know: Linux control groups, both versions."""

from pathlib import Path

from msgspec import Struct

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60
"""Version 1 writes a number about as large as the address space where there is no limit."""


class MemoryGroup(Struct, frozen=True):
    """The tightest group around this process that limits memory, in bytes."""

    limit_bytes: int
    used_bytes: int
    """Without cached files, which the system drops when memory is needed."""


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
    return min((each for each in found if each), key=lambda each: each.limit_bytes, default=None)


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
    return _memory(folder, limit="memory.max", used="memory.current", cached="inactive_file")


def _memory_v1(folder: Path) -> MemoryGroup | None:
    return _memory(
        folder, limit="memory.limit_in_bytes", used="memory.usage_in_bytes", cached="total_inactive_file"
    )


def _memory(folder: Path, *, limit: str, used: str, cached: str) -> MemoryGroup | None:
    limit_bytes = _number(_read(folder / limit))
    if limit_bytes is None or limit_bytes >= _NO_LIMIT:
        return None
    figures = dict(line.partition(" ")[::2] for line in _read(folder / "memory.stat").splitlines())
    used_bytes = (_number(_read(folder / used)) or 0) - (_number(figures.get(cached, "")) or 0)
    return MemoryGroup(limit_bytes, max(0, used_bytes))


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
