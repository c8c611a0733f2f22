"""llama.cpp: whether it loads, what is in it, and whether a model really runs. Only ever in children."""

import time
from contextlib import aclosing
from pathlib import Path

from msgspec import Struct

from puna.config import Settings
from puna.doctor.finding import Finding, Section, ok, problem, warning
from puna.domain.generation import Finished, GenerationRequest, Sampling, TextPrompt
from puna.domain.hardware import LlamaBuild, Processor
from puna.domain.models import ModelEntry
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.errors import PunaError
from puna.hardware.gpu_use import join_names
from puna.hardware.installing import REINSTALL, rebuild_command
from puna.hardware.instruction_sets import COSTLY_TO_MISS, unused_sets

TRIAL_TIMEOUT_S = 30.0
_TOKENS = 16


class Trial(Struct, frozen=True):
    """How the demo model ran in a worker of its own."""

    load_s: float = 0.0
    tokens: int = 0
    decode_s: float = 0.0
    backend: str = ""
    error: str | None = None
    """Why it did not run; the other fields mean nothing then."""


async def try_model(entry: ModelEntry, folder: Path, settings: Settings) -> Trial:
    """Load the built-in model as the daemon would and let it say a few words; its log goes to `folder`.

    Bounded in time; leaves no child behind.
    """
    options = WorkerOptions(
        log_dir=folder,
        context_length=512,
        slots=1,
        threads=settings.threads,
        hidden_variables=settings.key_variables,
        load_timeout_s=TRIAL_TIMEOUT_S,
        generation_timeout_s=TRIAL_TIMEOUT_S,
    )
    try:
        return await _run(WorkerLauncher(options), entry)
    except (PunaError, OSError) as error:
        return Trial(error=str(error))


async def _run(launcher: WorkerLauncher, entry: ModelEntry) -> Trial:
    started_s = time.monotonic()
    worker = await launcher.launch(entry, lambda _: None)
    load_s = time.monotonic() - started_s
    request = GenerationRequest(
        prompt=TextPrompt("Once upon a time"), sampling=Sampling(temperature=0.0), max_tokens=_TOKENS
    )
    try:
        async with aclosing(worker.generate(request)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    tokens, decode_s = event.usage.completion_tokens, event.timing.decode_s
                    return Trial(load_s, tokens, decode_s, worker.loaded.backend)
    finally:
        await worker.close()
    return Trial(error="the model said nothing")


def judge_engine(
    build: LlamaBuild | None, error: str | None, processor: Processor, trial: Trial | None
) -> list[Finding]:
    """Return the lines about llama.cpp. Pure."""
    if build is None:
        return [problem(Section.ENGINE, "library", error or "not looked at", f"Install it anew: {REINSTALL}")]
    return [
        ok(Section.ENGINE, "library", describe_build(build)),
        ok(Section.ENGINE, "back ends", ", ".join(backend.name for backend in build.backends) or "none"),
        judge_instruction_sets(build, processor),
        *([judge_trial(trial)] if trial else []),
    ]


def describe_build(build: LlamaBuild) -> str:
    """Return the versions: `llama-cpp-python 0.3.36 with llama.cpp 0.5.0 (0c1e570)`."""
    commit = f" ({build.commit})" if build.commit else ""
    inside = f" with llama.cpp {build.version or build.commit}{commit if build.version else ''}"
    return f"llama-cpp-python {build.binding}" + (inside if build.version or build.commit else "")


def judge_instruction_sets(build: LlamaBuild, processor: Processor) -> Finding:
    """Say what llama.cpp computes with; a build for older processors leaves speed unused."""
    used = ", ".join(build.instruction_sets) or "none that has a name"
    unused = unused_sets(processor.instruction_sets, build.instruction_sets)
    costly = [name for name in unused if name in COSTLY_TO_MISS]
    if costly:
        return warning(
            Section.ENGINE,
            "computes with",
            f"{used}, but not with {join_names(costly)}, which this processor has",
            f"Build llama.cpp on this machine, where it runs faster: {rebuild_command()}",
        )
    rest = f"; the processor also has {join_names(unused)}" if unused else ""
    return ok(Section.ENGINE, "computes with", used + rest)


def judge_trial(trial: Trial) -> Finding:
    """Say whether the demo model ran."""
    if trial.error is not None:
        return problem(
            Section.ENGINE,
            "trial",
            f"the demo model does not run: {trial.error}",
            f"Install llama.cpp anew: {REINSTALL}; should that not help, build it here: {rebuild_command()}",
        )
    speed = f", {trial.tokens / trial.decode_s:.0f} tokens/s" if trial.tokens and trial.decode_s else ""
    text = f"the demo model runs on {trial.backend} (loaded in {trial.load_s:.1f} s{speed})"
    return ok(Section.ENGINE, "trial", text)
