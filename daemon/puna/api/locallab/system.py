"""The machine and the daemon, in figures. Nothing here waits for a measurement or blocks the event loop."""

import asyncio
import platform
import socket
from collections.abc import Sequence
from pathlib import Path

import psutil
from aiohttp import web

import puna
from puna.api.context import Context, context_of
from puna.api.exchange import exchange_of
from puna.api.hardware import FRESH_S, describe_hardware
from puna.api.locallab.replies import (
    CpuReply,
    DeviceReply,
    GpuReply,
    HealthReply,
    LlamaReply,
    LoadedModelReply,
    MemoryReply,
    NetworkReply,
    ProcessorReply,
    ResourcesReply,
    SpaceReply,
    StartupReply,
    SystemInfoReply,
    SystemMemoryReply,
)
from puna.api.model_names import find_current
from puna.api.responses import json_response
from puna.domain.hardware import LlamaBuild, Memory, ModelUse, Processor
from puna.domain.models import Device, ModelState
from puna.hardware.memory import read_memory
from puna.residency.place import Resident

_MIB = 1024 * 1024
_GPU_KINDS = frozenset({"gpu", "igpu", "accel"})


async def health(_: web.Request) -> web.Response:
    """GET /health: whether the daemon answers."""
    return json_response(HealthReply())


async def startup_status(request: web.Request) -> web.Response:
    """GET /startup-status: whether it is ready, and which model is."""
    context = context_of(request)
    return json_response(
        StartupReply(
            server_ready=True,
            model_loading=any(each.state is ModelState.LOADING for each in context.residency.residents()),
            current_model=active_model(request),
            uptime=round(context.activity.uptime_s, 2),
        )
    )


async def info(request: web.Request) -> web.Response:
    """GET /system/info: the machine, the models in memory, and why they run where they do."""
    context = context_of(request)
    hardware = await describe_hardware(context)
    uses = {use.id: use for use in hardware.models}
    loaded = next((each.loaded for each in _current_first(context) if each.loaded), None)
    devices = _devices(context)
    build, memory = hardware.llama, hardware.machine.memory
    return json_response(
        SystemInfoReply(
            cpu_usage=psutil.cpu_percent(interval=None),
            memory_usage=_percent_used(memory),
            gpu_info=_gpus(devices) or None,
            active_model=active_model(request),
            uptime=round(context.activity.uptime_s, 2),
            request_count=context.activity.request_count,
            version=puna.__version__,
            backend=loaded.backend if loaded else None,
            backend_reason=loaded.backend_reason if loaded else None,
            threads=loaded.threads if loaded else None,
            devices=tuple(_device(device) for device in devices),
            models=tuple(
                _loaded_model(resident, uses.get(resident.entry.id))
                for resident in context.residency.residents()
            ),
            system=hardware.machine.system,
            cpu=_processor(hardware.machine.processor, build),
            memory=SystemMemoryReply(
                total_mb=memory.total_bytes // _MIB, available_mb=memory.available_bytes // _MIB
            ),
            gpu_reason=hardware.gpu_use.reason,
            gpu_advice=hardware.gpu_use.advice,
            llama=_llama(build) if build else None,
            llama_error=hardware.llama_error,
        )
    )


async def resources(request: web.Request) -> web.Response:
    """GET /resources: processor, memory, disk and graphics cards, in figures."""
    context = context_of(request)
    context.llama.refresh(max_age_s=FRESH_S)
    cpu_percent = psutil.cpu_percent(interval=None)
    cpu, memory, disk, system = await asyncio.to_thread(_measure, cpu_percent)
    return json_response(
        ResourcesReply(
            cpu=cpu,
            memory=memory,
            gpu=_gpus(_devices(context)),
            disk=disk,
            platform=system,
            server_uptime=round(context.activity.uptime_s, 2),
            api_requests=context.activity.request_count,
        )
    )


async def network(_: web.Request) -> web.Response:
    """GET /network: the addresses of this machine."""
    return json_response(await asyncio.to_thread(_describe_network))


def active_model(request: web.Request) -> str | None:
    """Return the id of the current model when it is ready, as the sender may see it."""
    current = find_current(context_of(request), exchange_of(request).identity)
    return current.entry.id if current is not None and current.state is ModelState.READY else None


def _current_first(context: Context) -> list[Resident]:
    current = context.residency.current
    return ([current] if current is not None else []) + list(context.residency.residents())


def _devices(context: Context) -> tuple[Device, ...]:
    """Return what the last look saw; where it saw no GPU, what a worker did when it was loaded."""
    known = context.llama.known
    if known is not None and known.gpus:
        return known.devices
    loaded = next((each.loaded for each in _current_first(context) if each.loaded), None)
    return (loaded.devices if loaded else ()) or (known.devices if known else ())


def _processor(processor: Processor, build: LlamaBuild | None) -> ProcessorReply:
    return ProcessorReply(
        name=processor.name,
        physical_cores=processor.physical_cores,
        logical_cores=processor.logical_cores,
        performance_cores=processor.performance_cores,
        instruction_sets=build.instruction_sets if build else (),
    )


def _llama(build: LlamaBuild) -> LlamaReply:
    return LlamaReply(
        version=build.binding,
        llama_cpp_version=build.version,
        commit=build.commit,
        backends=tuple(backend.name for backend in build.backends),
    )


def _gpus(devices: Sequence[Device]) -> tuple[GpuReply, ...]:
    gpus = [device for device in devices if device.kind.lower() in _GPU_KINDS]
    return tuple(_gpu(index, device) for index, device in enumerate(gpus))


def _gpu(index: int, device: Device) -> GpuReply:
    used_bytes = device.memory_total_bytes - device.memory_free_bytes
    return GpuReply(
        index=index,
        name=device.description or device.name,
        total_memory_mb=device.memory_total_bytes // _MIB,
        memory_free_mb=device.memory_free_bytes // _MIB,
        memory_used_mb=used_bytes // _MIB,
        memory_percent=round(100 * used_bytes / device.memory_total_bytes, 1)
        if device.memory_total_bytes
        else 0.0,
    )


def _device(device: Device) -> DeviceReply:
    return DeviceReply(
        name=device.name,
        description=device.description,
        kind=device.kind,
        total_memory_mb=device.memory_total_bytes // _MIB,
        free_memory_mb=device.memory_free_bytes // _MIB,
    )


def _loaded_model(resident: Resident, use: ModelUse | None) -> LoadedModelReply:
    loaded = resident.loaded
    return LoadedModelReply(
        id=resident.entry.id,
        name=resident.entry.name,
        state=resident.state.value,
        context_length=loaded.context_length if loaded else None,
        slots=loaded.slots if loaded else None,
        busy_slots=resident.status.busy_slots,
        waiting_requests=resident.status.waiting_requests,
        threads=resident.status.threads or (loaded.threads if loaded else None),
        gpu_layers=loaded.gpu_layers if loaded else None,
        backend=loaded.backend if loaded else None,
        backend_reason=loaded.backend_reason if loaded else None,
        layers=use.layers if use else None,
        layers_reason=use.layers_reason if use else None,
        threads_reason=use.threads_reason if use else None,
        trained_context_length=use.trained_context_length if use else None,
        context_reason=use.context_reason if use else None,
        memory_mb={need.device: need.total_bytes // _MIB for need in use.needs} if use else None,
    )


def _measure(cpu_percent: float) -> tuple[CpuReply, MemoryReply, SpaceReply, str]:
    memory = read_memory()
    disk = psutil.disk_usage(Path(__file__).anchor)
    return (
        CpuReply(
            cores=psutil.cpu_count(logical=False),
            threads=psutil.cpu_count(),
            usage=cpu_percent,
            frequency=_cpu_frequency(),
        ),
        MemoryReply(
            total=memory.total_bytes,
            available=memory.available_bytes,
            free=min(psutil.virtual_memory().free, memory.available_bytes),
            used=memory.total_bytes - memory.available_bytes,
            percent=_percent_used(memory),
        ),
        SpaceReply(total=disk.total, free=disk.free, used=disk.used, percent=disk.percent),
        platform.platform(),
    )


def _percent_used(memory: Memory) -> float:
    return round(100 * (1 - memory.available_bytes / memory.total_bytes), 1) if memory.total_bytes else 0.0


def _cpu_frequency() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (NotImplementedError, OSError):
        return None
    # The stubs say always, but a container may hide it.
    return getattr(frequency, "current", None)


def _describe_network() -> NetworkReply:
    interfaces: dict[str, dict[str, str]] = {}
    for name, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            if address.family == socket.AF_INET:
                interfaces.setdefault(name, {})["ip"] = address.address
                interfaces[name]["netmask"] = address.netmask or ""
            elif address.family == socket.AF_INET6:
                interfaces.setdefault(name, {})["ipv6"] = address.address
    return NetworkReply(public_ip="Unknown", hostname=platform.node(), interfaces=interfaces)
