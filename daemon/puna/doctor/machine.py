"""Findings about processor, memory and GPUs. Pure."""

from puna.doctor.finding import Finding, Section, begin_upper, ok, problem, warning
from puna.domain.hardware import GpuUse, LlamaBuild, Machine, Memory, Processor
from puna.domain.models import Device
from puna.hardware.sizes import GIB, show_size

_TIGHT_BYTES = 2 * GIB
_TOO_LITTLE_BYTES = GIB // 4


def judge_machine(
    machine: Machine, build: LlamaBuild | None, gpu_use: GpuUse, *, threads: int | None
) -> list[Finding]:
    """Return the lines about the machine; `threads` is the setting."""
    return [
        ok(Section.MACHINE, "system", machine.system),
        judge_processor(machine.processor, threads=threads),
        judge_memory(machine.memory),
        *judge_gpus(build, gpu_use),
    ]


def judge_processor(processor: Processor, *, threads: int | None) -> Finding:
    """Say what it is; a container that allows less than the cores makes llama.cpp's threads wait for each other."""
    text, limit = describe_processor(processor), processor.usable_cores
    if limit is None or threads is not None or limit >= processor.physical_cores:
        return ok(Section.MACHINE, "processor", text)
    return warning(
        Section.MACHINE,
        "processor",
        f"{text}; this process may use only {limit:g} at a time",
        f"Let models compute with no more threads than that: puna config set threads {max(1, int(limit))}",
    )


def describe_processor(processor: Processor) -> str:
    """Return name and cores: `AMD Ryzen 7, 8 cores with 16 threads`, `Apple M3, 8 cores (4 of them fast)`."""
    physical, logical = processor.physical_cores, processor.logical_cores
    cores = f"{physical} core" + "s" * (physical != 1)
    fast = f" ({processor.performance_cores} of them fast)" if processor.performance_cores else ""
    threads = f" with {logical} threads" if logical > physical else ""
    return f"{processor.name}, {cores}{fast}{threads}"


def judge_memory(memory: Memory) -> Finding:
    """Say how much there is, and whether it is enough for a model."""
    limited = ", as far as this container may use it" if memory.is_limited else ""
    text = f"{show_size(memory.total_bytes)}, of which {show_size(memory.available_bytes)} are free{limited}"
    if memory.available_bytes < _TOO_LITTLE_BYTES:
        return problem(
            Section.MACHINE, "memory", text, "Close other programs: no model fits the free memory."
        )
    if memory.available_bytes < _TIGHT_BYTES:
        return warning(
            Section.MACHINE,
            "memory",
            text,
            "Close other programs, or choose models of 1 billion parameters and fewer: little memory is free.",
        )
    return ok(Section.MACHINE, "memory", text)


def judge_gpus(build: LlamaBuild | None, gpu_use: GpuUse) -> list[Finding]:
    """Return a line for each GPU that models can use, or one that says why there is none."""
    if build is not None and build.gpus:
        return [ok(Section.MACHINE, "GPU", describe_gpu(device)) for device in build.gpus]
    if gpu_use.advice is None:
        return [ok(Section.MACHINE, "GPU", f"none; {gpu_use.reason}")]
    return [warning(Section.MACHINE, "GPU", begin_upper(gpu_use.reason), gpu_use.advice)]


def describe_gpu(device: Device) -> str:
    """Return name and memory: `NVIDIA H200, 139 GiB, of which 138 GiB are free (CUDA0)`."""
    shared = "; it shares the machine's memory" if device.kind == "igpu" else ""
    return (
        f"{device.description or device.name}, {show_size(device.memory_total_bytes)}, of which "
        f"{show_size(device.memory_free_bytes)} are free ({device.name}){shared}"
    )
