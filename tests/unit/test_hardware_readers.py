"""What the system tells of this machine: read from files, or from bytes as other systems give them."""

import struct
import sys
from pathlib import Path

import pytest

from puna.domain.hardware import GraphicsCard
from puna.hardware import instruction_sets
from puna.hardware.container import MemoryGroup, parse_own_groups, read_cpu_limit, read_memory_group
from puna.hardware.core_types import count_of_linux, efficiency_classes, fastest_of, parse_cpu_list
from puna.hardware.cpuinfo import parse_cpuinfo, read_cpuinfo
from puna.hardware.graphics import card_of_windows, cards_of_linux, cards_of_macos, find_name
from puna.hardware.machine import read_machine
from puna.hardware.memory import within
from puna.hardware.processor import usable_cores
from puna.hardware.sizes import GIB, MIB, show_size

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads files of Linux")
has_links = pytest.mark.skipif(sys.platform == "win32", reason="makes links, and names with a colon")

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: 13th Gen Intel(R) Core(TM)  i7-1360P
flags\t\t: fpu pni ssse3 fma f16c avx avx2 bmi2 avx_vnni

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd asimdhp asimddp i8mm

Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""


def write(root: Path, **files: str) -> None:
    """Write files; two underscores stand for a slash, as in `cpu__cpu_max`."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_cpuinfo_tells_name_and_flags_of_the_first_processor() -> None:
    info = parse_cpuinfo(X86)
    assert info.name == "13th Gen Intel(R) Core(TM) i7-1360P"
    assert instruction_sets.from_linux_flags(info.flags) == (
        "SSE3", "SSSE3", "AVX", "AVX_VNNI", "AVX2", "F16C", "FMA", "BMI2",
    )  # fmt: skip


def test_cpuinfo_of_an_arm_board_names_the_board() -> None:
    info = parse_cpuinfo(ARM)
    assert info.name == "Raspberry Pi 5 Model B Rev 1.0"
    assert instruction_sets.from_linux_flags(info.flags) == ("NEON", "FP16_VA", "DOTPROD", "MATMUL_INT8")


def test_a_system_without_cpuinfo_tells_nothing(tmp_path: Path) -> None:
    assert read_cpuinfo(tmp_path / "missing") == parse_cpuinfo("")


def test_what_a_build_leaves_unused_is_known_only_where_the_build_tells_what_it_uses() -> None:
    assert instruction_sets.unused_sets(("AVX", "AVX2", "AVX512"), ("AVX", "AVX2", "OPENMP")) == ("AVX512",)
    assert instruction_sets.unused_sets(("AVX",), ()) == ()
    assert instruction_sets.unused_sets((), ("AVX",)) == ()


@pytest.mark.parametrize(
    ("text", "numbers"), [("0-3,8\n", [0, 1, 2, 3, 8]), ("5", [5]), ("", []), ("x-y,-1,max", [])]
)
def test_a_cpu_list_is_read_and_nonsense_left_out(text: str, numbers: list[int]) -> None:
    assert parse_cpu_list(text) == numbers


def test_cores_that_differ_little_are_all_alike() -> None:
    assert fastest_of([4_700_000, 4_700_000, 4_900_000]) is None
    assert fastest_of([]) is None
    assert fastest_of([1024, 1024, 446, 446, 446, 446]) == 2


def test_performance_cores_of_intel_are_counted_without_their_hyper_threads(tmp_path: Path) -> None:
    write(tmp_path, cpu_core__cpus="0-3\n", cpu_atom__cpus="4-7\n")
    for number, siblings in enumerate(("0-1", "0-1", "2-3", "2-3")):
        write(tmp_path / "system" / "cpu" / f"cpu{number}" / "topology", thread_siblings_list=siblings)
    assert count_of_linux(tmp_path) == 2


def test_performance_cores_of_arm_are_those_of_full_capacity(tmp_path: Path) -> None:
    for number, capacity in enumerate((446, 446, 1024, 1024)):
        write(tmp_path / "system" / "cpu" / f"cpu{number}", cpu_capacity=f"{capacity}\n")
    assert count_of_linux(tmp_path) == 2


def test_a_processor_of_equal_cores_has_no_performance_cores(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "system" / "cpu" / f"cpu{number}", cpufreq__cpuinfo_max_freq="3600000\n")
    assert count_of_linux(tmp_path) is None
    assert count_of_linux(tmp_path / "nothing") is None


def test_windows_tells_an_efficiency_class_for_each_core() -> None:
    def core(efficiency_class: int) -> bytes:
        return struct.pack("<IIBB", 0, 48, 1, efficiency_class).ljust(48, b"\0")

    cache = struct.pack("<II", 2, 32).ljust(32, b"\0")
    assert efficiency_classes(core(1) + cache + core(0) + core(0)) == [1, 0, 0]
    assert efficiency_classes(b"") == []
    assert efficiency_classes(struct.pack("<II", 0, 0) * 4) == [], (
        "a record without a size must not be read for ever"
    )


def test_the_groups_of_both_versions_are_read() -> None:
    text = "4:memory:/docker/abc\n3:cpu,cpuacct:/x\n0::/user.slice\nnonsense\n"
    assert parse_own_groups(text) == {
        "memory": "/docker/abc",
        "cpu": "/x",
        "cpuacct": "/x",
        "": "/user.slice",
    }


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own"
    file.write_text("4:memory:/a/b\n3:cpu,cpuacct:/a\n0::/a/b\n")
    return file


def test_the_tightest_limit_above_a_process_counts(tmp_path: Path, own: Path) -> None:
    write(tmp_path, memory__max="max")  # a folder that only looks like one
    write(tmp_path / "a", **{"memory.max": f"{4 * GIB}\n", "memory.current": f"{3 * GIB}\n"})
    write(tmp_path / "a", **{"memory.stat": f"anon 5\ninactive_file {GIB}\n", "cpu.max": "150000 100000\n"})
    write(tmp_path / "a" / "b", **{"memory.max": "max\n", "memory.current": "7\n", "cpu.max": "max 100000\n"})
    assert read_memory_group(tmp_path, own) == MemoryGroup(4 * GIB, 2 * GIB)
    assert read_cpu_limit(tmp_path, own) == 1.5


def test_what_can_be_had_is_what_every_group_above_leaves(tmp_path: Path, own: Path) -> None:
    write(tmp_path / "a", **{"memory.max": f"{16 * GIB}\n", "memory.current": f"{15 * GIB}\n"})
    write(tmp_path / "a" / "b", **{"memory.max": f"{8 * GIB}\n", "memory.current": f"{2 * GIB}\n"})
    assert read_memory_group(tmp_path, own) == MemoryGroup(8 * GIB, 7 * GIB)


def test_the_limit_that_slows_a_group_down_counts_as_one(tmp_path: Path, own: Path) -> None:
    files = {"memory.max": "max\n", "memory.high": f"{2 * GIB}\n", "memory.current": f"{GIB}\n"}
    write(tmp_path / "a" / "b", **files)
    assert read_memory_group(tmp_path, own) == MemoryGroup(2 * GIB, GIB)


def test_files_in_memory_are_no_use_of_it(tmp_path: Path, own: Path) -> None:
    files = {"memory.max": f"{4 * GIB}\n", "memory.current": f"{3 * GIB}\n"}
    stat = f"anon {GIB}\ninactive_file {GIB}\nactive_file {GIB}\n"
    write(tmp_path / "a" / "b", **files, **{"memory.stat": stat})
    assert read_memory_group(tmp_path, own) == MemoryGroup(4 * GIB, GIB)


def test_limits_of_version_1_are_read_too(tmp_path: Path, own: Path) -> None:
    write(
        tmp_path / "memory" / "a" / "b",
        **{
            "memory.limit_in_bytes": f"{GIB}",
            "memory.usage_in_bytes": "100",
            "memory.stat": "total_inactive_file 30\ntotal_active_file 10",
        },
    )
    write(tmp_path / "memory", **{"memory.limit_in_bytes": "9223372036854771712"})
    write(tmp_path / "cpu" / "a", **{"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n"})
    write(tmp_path / "cpu", **{"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"})
    assert read_memory_group(tmp_path, own) == MemoryGroup(GIB, 60)
    assert read_cpu_limit(tmp_path, own) == 0.5


def test_a_group_that_only_the_host_knows_leads_to_the_container_s_root(tmp_path: Path, own: Path) -> None:
    write(tmp_path, **{"memory.max": f"{GIB}", "memory.current": "0", "cpu.max": "200000 100000"})
    assert read_memory_group(tmp_path, own) == MemoryGroup(GIB, 0)
    assert read_cpu_limit(tmp_path, own) == 2


def test_without_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert read_memory_group(tmp_path, tmp_path / "missing") is None
    assert read_cpu_limit(tmp_path, tmp_path / "missing") is None


def test_a_container_s_limit_ends_the_memory() -> None:
    limited = within(16 * GIB, 10 * GIB, MemoryGroup(4 * GIB, GIB))
    assert (limited.total_bytes, limited.available_bytes, limited.is_limited) == (4 * GIB, 3 * GIB, True)
    assert within(16 * GIB, 10 * GIB, MemoryGroup(4 * GIB, 5 * GIB)).available_bytes == 0
    for group in (None, MemoryGroup(64 * GIB, 0)):
        whole = within(16 * GIB, 10 * GIB, group)
        assert (whole.total_bytes, whole.available_bytes, whole.is_limited) == (16 * GIB, 10 * GIB, False)


def test_usable_cores_are_the_fewest_of_affinity_and_limit() -> None:
    assert usable_cores(16, 16, None) is None
    assert usable_cores(16, 4, 2.5) == 2.5
    assert usable_cores(16, 2, 8.0) == 2
    assert usable_cores(4, None, 8.0) is None


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    """A PCI bus with two GPUs, a data centre's accelerator, and four things that are none."""
    devices = {
        "0000:00:02.0": ("0x030000", "0x8086", "0xa7a0"),
        "0000:01:00.0": ("0x030200", "0x10de", "0x2335"),
        "0000:02:00.0": ("0x120000", "0x1002", "0x74a1"),
        "0000:03:00.0": ("0x120000", "0x8086", "0x7d1d"),
        "0000:04:00.0": ("0x030000", "0x1a03", "0x2000"),
        "0000:05:00.0": ("0x020000", "0x10de", "0x1111"),
        "0000:06:00.0": ("nonsense", "", ""),
    }
    for slot, (kind, vendor, device) in devices.items():
        write(
            tmp_path / "sys" / "bus" / "pci" / "devices" / slot,
            **{"class": kind, "vendor": vendor, "device": device},
        )
    write(tmp_path / "sys" / "bus" / "pci" / "devices" / "0000:02:00.0", mem_info_vram_total=f"{192 * GIB}\n")
    write(
        tmp_path / "proc" / "driver" / "nvidia" / "gpus" / "0000:01:00.0",
        information="Model: \t\t NVIDIA H200\nIRQ: 1\n",
    )
    (tmp_path / "drivers" / "nvidia").mkdir(parents=True)
    (tmp_path / "sys" / "bus" / "pci" / "devices" / "0000:01:00.0" / "driver").symlink_to(
        tmp_path / "drivers" / "nvidia"
    )
    return tmp_path


@has_links
def test_gpus_are_told_from_screens_network_cards_and_npus(
    bus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.hardware.graphics._NAMES", ())
    assert cards_of_linux(bus / "sys", bus / "proc") == (
        GraphicsCard(name="Intel GPU 8086:a7a0", vendor="Intel"),
        GraphicsCard(name="NVIDIA H200", vendor="NVIDIA", driver="nvidia"),
        GraphicsCard(name="AMD GPU 1002:74a1", vendor="AMD", memory_bytes=192 * GIB),
    )
    assert cards_of_linux(bus / "nothing", bus / "proc") == ()


def test_the_table_of_pci_devices_names_a_card() -> None:
    table = """# comment
1001  Other
\t744c  Not this one
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t744c  Navi 31 [Radeon RX 7900 XT]
\t\t1002 0e3b  A board
1003  Next
\t9999  Nor this
"""
    lines = table.splitlines(keepends=True)
    assert find_name(iter(lines), 0x1002, 0x744C) == (
        "Advanced Micro Devices, Inc. [AMD/ATI] Navi 31 [Radeon RX 7900 XT]"
    )
    assert find_name(iter(lines), 0x1002, 0x9999) == ""


def test_windows_cards_are_read_from_their_registry_values() -> None:
    values = {
        "DriverDesc": "NVIDIA GeForce RTX 4070",
        "MatchingDeviceId": r"PCI\VEN_10DE&DEV_2786&SUBSYS_51361462",
        "HardwareInformation.qwMemorySize": 12 * GIB,
        "DriverVersion": "32.0.15.6094",
    }
    assert card_of_windows(values) == GraphicsCard(
        name="NVIDIA GeForce RTX 4070", vendor="NVIDIA", memory_bytes=12 * GIB, driver="32.0.15.6094"
    )
    assert card_of_windows({"DriverDesc": "Basic Display", "MatchingDeviceId": r"ROOT\BasicDisplay"}) is None
    assert card_of_windows({"MatchingDeviceId": r"PCI\VEN_8086&DEV_1"}) is None


def test_every_apple_chip_has_a_gpu() -> None:
    [card] = cards_of_macos("arm64", "Apple M3 Pro")
    assert (card.name, card.vendor) == ("Apple M3 Pro GPU", "Apple")
    assert cards_of_macos("x86_64", "Intel(R) Core(TM) i7") == ()


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 MiB"),
        (512 * MIB, "512 MiB"),
        (GIB, "1.0 GiB"),
        (int(7.84 * GIB), "7.8 GiB"),
        (139 * GIB, "139 GiB"),
    ],
)
def test_sizes_have_as_many_digits_as_people_read(size_bytes: int, text: str) -> None:
    assert show_size(size_bytes) == text


def test_this_machine_is_read() -> None:
    machine = read_machine()
    processor = machine.processor
    assert machine.system
    assert processor.name
    assert 1 <= processor.physical_cores <= processor.logical_cores
    assert 0 < machine.memory.available_bytes <= machine.memory.total_bytes


@linux_only
def test_linux_tells_what_the_processor_computes_with() -> None:
    assert {"SSE3", "NEON"} & set(read_machine().processor.instruction_sets)
