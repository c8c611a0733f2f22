"""What the daemon knows of the machine's memory before and while workers run."""

import mmap
import os
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from puna.domain.hardware import LlamaBuild, Memory
from puna.domain.memory import CACHED_ADAPTERS, CPU, LoadPlan
from puna.domain.models import Device, ModelEntry
from puna.domain.remote import RemoteModel
from puna.engine.probe import LlamaProbe
from puna.errors import EngineUnusableError, ModelLoadError
from puna.paths import Paths
from puna.residency import machine
from puna.residency.estimate import Wish
from puna.residency.machine import MachineMemory, most_adapters_bytes, read_main_memory
from puna.worker.adapters import _MOST_IDLE

GIB = 1024**3
CARD = Device("CUDA0", "a card", "gpu", 24 * GIB, 20 * GIB)
CHIP = Device("Vulkan1", "an integrated one", "igpu", 16 * GIB, 12 * GIB)
APPLE = Device("MTL0", "an M-something", "gpu", 12 * GIB, 12 * GIB)


def build(*devices: Device, gpu_layers: int | None = None) -> MachineMemory:
    async def look() -> LlamaBuild:
        return LlamaBuild(binding="0", devices=devices)

    return MachineMemory(LlamaProbe(look), Wish(gpu_layers=gpu_layers), lambda: [os.getpid()])


def entry(path: Path) -> ModelEntry:
    return ModelEntry(id="m", name="m", path=path, size_bytes=1)


@pytest.fixture
def demo(tmp_path: Path) -> ModelEntry:
    return entry(Paths.under(tmp_path).demo_model)


async def planned(memory: MachineMemory, model: ModelEntry, **gib: int) -> LoadPlan:
    rooms = {name: size * GIB for name, size in gib.items()}
    outcome = (await memory.appraise(model))(rooms)
    assert isinstance(outcome, LoadPlan)
    return outcome


async def test_a_card_with_memory_of_its_own_is_used_and_an_integrated_one_then_is_not(
    demo: ModelEntry,
) -> None:
    memory = build(CHIP, CARD)
    assert [reading.device for reading in await memory.read()] == [CPU, "CUDA0"]
    plan = await planned(memory, demo, CPU=4, CUDA0=4)
    assert plan.gpu_layers == 7
    assert {need.device for need in plan.needs} == {CPU, "CUDA0"}


@pytest.mark.parametrize("device", [CHIP, APPLE])
async def test_what_has_no_memory_of_its_own_takes_from_the_machine(demo: ModelEntry, device: Device) -> None:
    plan = await planned(build(device), demo, CPU=4, **{device.name: 4})
    host, gpu = plan.needs
    assert host.shared_bytes == gpu.total_bytes > 0


async def test_without_a_gpu_or_with_a_broken_driver_there_is_the_cpu(demo: ModelEntry) -> None:
    async def fail() -> LlamaBuild:
        raise EngineUnusableError("the driver crashed")

    for memory in (build(), MachineMemory(LlamaProbe(fail), Wish(), list)):
        assert [reading.device for reading in await memory.read()] == [CPU]
        assert (await planned(memory, demo, CPU=4)).gpu_layers == 0


async def test_a_setting_keeps_models_off_the_gpu(demo: ModelEntry) -> None:
    assert (await planned(build(CARD, gpu_layers=0), demo, CPU=4, CUDA0=4)).gpu_layers == 0


async def test_the_adapters_that_a_worker_may_hold_at_a_time_are_counted(demo: ModelEntry) -> None:
    plain = await planned(build(), demo, CPU=4)
    adapted = await planned(build(), replace(demo, adapter_sizes=(6000, 12_000)), CPU=4)
    assert adapted.needs[0].weights_bytes - plain.needs[0].weights_bytes == 18_000
    slots = Wish().slots
    assert most_adapters_bytes([1] * 100 + [50], slots) == 50 + slots + CACHED_ADAPTERS - 1
    assert CACHED_ADAPTERS == _MOST_IDLE, "what the worker really keeps"


async def test_a_model_that_runs_elsewhere_takes_nothing() -> None:
    remote = RemoteModel(name="far", url="http://127.0.0.1:9", model="m")
    far = ModelEntry(id="far", name="far", size_bytes=0, remote=remote)
    plan = await planned(build(), far)
    assert not plan.takes_place
    assert plan.needs == ()


async def test_a_bad_file_is_found_before_anything_happens(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelLoadError, match=r"bad\.gguf"):
        await build().appraise(entry(tmp_path / "bad.gguf"))


@pytest.mark.skipif(sys.platform != "linux", reason="tells mapped files apart by Linux's figures")
def test_weights_that_a_worker_maps_do_not_hide_what_other_programs_hold_in_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(64 * 1024**2))
    before = read_main_memory([os.getpid()]).ours_bytes
    limited = Memory(total_bytes=GIB, available_bytes=GIB // 2, is_limited=True)
    monkeypatch.setattr(machine, "read_memory", lambda: limited)
    with weights.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(mapped[at] for at in range(0, len(mapped), mmap.PAGESIZE)) == 0
        held = read_main_memory([os.getpid()]).ours_bytes
    assert before is not None
    assert held is not None
    assert held - before < 32 * 1024**2


def test_what_workers_hold_is_told_apart() -> None:
    nobody, this = read_main_memory([]), read_main_memory([os.getpid(), 2**31 - 7])
    assert nobody.ours_bytes == 0
    assert this.ours_bytes is not None
    assert this.ours_bytes > 5 * 1024**2
    assert 0 < this.free_bytes <= this.total_bytes
