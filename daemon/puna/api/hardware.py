"""What the daemon tells of the machine and of what its models use, for every API that tells it."""

import asyncio
import sys

from puna.api.context import Context
from puna.domain.hardware import GpuUse, Hardware, Machine, ModelUse
from puna.engine.probe import LlamaProbe
from puna.errors import EngineUnusableError
from puna.hardware.gpu_use import judge_gpus
from puna.hardware.machine import read_machine
from puna.hardware.model_use import Wishes, explain_model, explain_remote
from puna.residency.place import Resident

_FIRST_LOOK_S = 3.0
"""How long an answer waits for the very first look at llama.cpp; afterwards nobody waits."""
FRESH_S = 15.0
"""Free GPU memory may be that old; what is older is looked at again, for the next who asks."""


async def describe_hardware(context: Context) -> Hardware:
    """Return the machine, what llama.cpp can use of it, and what each model in memory uses."""
    await _look(context.llama)
    machine = await asyncio.to_thread(read_machine)
    build = context.llama.known
    gpu_use = judge_gpus(build, machine.graphics, is_bundle=bool(getattr(sys, "frozen", False)))
    uses = (_use_of(resident, context, machine, gpu_use) for resident in context.residency.residents())
    return Hardware(
        machine=machine,
        gpu_use=gpu_use,
        llama=build,
        llama_error=context.llama.error,
        models=tuple(use for use in uses if use is not None),
    )


async def _look(llama: LlamaProbe) -> None:
    if llama.known is not None or llama.error is not None:
        llama.refresh(max_age_s=FRESH_S)
        return
    try:
        async with asyncio.timeout(_FIRST_LOOK_S):
            await llama.build()
    except (TimeoutError, EngineUnusableError):
        return  # the answer says that nothing is known yet, or what `llama.error` says


def _use_of(resident: Resident, context: Context, machine: Machine, gpu_use: GpuUse) -> ModelUse | None:
    """Return what a model uses; None while it is not in memory."""
    loaded, settings = resident.loaded, context.settings
    if loaded is None:
        return None
    if resident.entry.remote is not None:
        return explain_remote(resident.entry.id, loaded)
    return explain_model(
        resident.entry.id,
        loaded,
        threads=resident.status.threads or loaded.threads,
        wishes=Wishes(
            threads=settings.threads,
            gpu_layers=settings.gpu_layers,
            context_length=settings.context_length,
        ),
        processor=machine.processor,
        gpu_use=gpu_use,
        needs=resident.plan.needs if resident.plan else (),
    )
