"""From a job to a training that can begin: the model loaded, the rows laid out, the adapter attached."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from puna.domain.training import TrainingEstimate, TrainingPlan, TrainingSettings, find_obstacle
from puna.domain.training_estimate import TrainedShape, estimate_seconds
from puna.errors import InvalidRequestError, ModelLoadError
from puna.hardware.memory import read_memory
from puna.llama.training.session import BaseModel, ModelFacts, TrainingSession, fast_copy_type, needs_copies
from puna.llama.training.survey import Matrix
from puna.trainer.adapter_file import choose_matrices, count_parameters, initial_adapter, write_adapter
from puna.trainer.checkpoint import Checkpoint, load_checkpoint
from puna.trainer.copying import Copying, choose_copying
from puna.trainer.examination import count_examined_rows
from puna.trainer.inbox import Job
from puna.trainer.material import Material, prepare_material
from puna.trainer.pacing import Pacer
from puna.trainer.packing import count_positions
from puna.trainer.schedule import USUAL_EPOCHS, choose_epochs, choose_learning_rate, count_steps
from puna.trainer.training import Training
from puna.worker.governor import CpuMonitor, start_governor

_FORMAT = b"1"
"""Of what the fingerprint is made from."""
_SHOWN_ROWS = 20
_HEADER_BYTES = 1024 * 1024
"""Of the base's file, for the fingerprint: what stands there names the model, its shape and its vocabulary."""


class Setting(Struct, frozen=True, kw_only=True):
    """What the plan is made from."""

    facts: ModelFacts
    settings: TrainingSettings
    material: Material
    session: TrainingSession
    matrices: list[Matrix]
    copying: Copying
    threads: int
    first_step: int
    note: str | None


def prepare(job: Job, on_progress: Callable[[float], None]) -> Training:
    """Load and lay out everything. Raises `PunaError` and `LlamaError` with the reason why it cannot begin."""
    settings = job.configure.settings
    monitor = CpuMonitor()
    if fault := settings.find_fault():
        raise InvalidRequestError(f"{fault[0]} must be {fault[1]}.", field=fault[0])
    model = BaseModel(Path(job.configure.base), on_progress=on_progress)
    facts = model.facts
    if obstacle := find_obstacle(facts.architecture):
        raise _refuse(facts, obstacle)
    material = prepare_material(job, model.vocabulary, trained=facts.n_ctx_train)
    governor = start_governor(monitor, fixed=settings.threads)
    session = TrainingSession(model, n_ctx=material.training.packing.row_length, n_threads=governor.threads)
    if session.survey.obstacles:
        raise _refuse(facts, f"llama.cpp has no backward pass for {', '.join(session.survey.obstacles)}")
    matrices = choose_matrices(session.survey.matrices.values(), settings.targets)
    copying = _choose_copying(facts, session, matrices, settings)
    fingerprint = _take_fingerprint(job, material)
    checkpoint, note = _find_checkpoint(Path(job.configure.checkpoint), fingerprint)
    _attach(session, facts, matrices, settings, checkpoint)
    session.start(copying.copy_type)
    if checkpoint is not None:
        session.write_moments(checkpoint.moments)
    plan = _plan(
        Setting(
            facts=facts,
            settings=settings,
            material=material,
            session=session,
            matrices=matrices,
            copying=copying,
            threads=governor.threads,
            first_step=0 if checkpoint is None else checkpoint.state.step,
            note=note,
        )
    )
    return Training(
        job.configure, session, Pacer(session, governor, monitor), material, plan, fingerprint, checkpoint
    )


def _refuse(facts: ModelFacts, reason: str) -> ModelLoadError:
    return ModelLoadError(
        f"A model of the architecture {facts.architecture} cannot be fine-tuned: {reason}; "
        "choose a dense model such as Llama, Mistral, Qwen or SmolLM."
    )


def _choose_copying(
    facts: ModelFacts, session: TrainingSession, matrices: list[Matrix], settings: TrainingSettings
) -> Copying:
    surveyed = session.survey.matrices
    shape = TrainedShape(
        size_bytes=facts.size_bytes,
        matrix_elements=sum(matrix.elements for matrix in surveyed.values()),
        layers=facts.n_layer,
        width=facts.n_embd,
        feed_forward=max((m.rows for m in surveyed.values() if ".ffn_" in m.name), default=0),
        heads=facts.n_head,
        vocabulary=facts.n_vocab,
    )
    return choose_copying(
        shape,
        row_length=session.n_ctx,
        parameters=count_parameters(matrices, settings.rank),
        free_bytes=read_memory().available_bytes,
        fast=fast_copy_type(),
        must_copy=needs_copies(surveyed),
    )


def _attach(
    session: TrainingSession,
    facts: ModelFacts,
    matrices: list[Matrix],
    settings: TrainingSettings,
    checkpoint: Checkpoint | None,
) -> None:
    tensors = initial_adapter(matrices, settings) if checkpoint is None else checkpoint.adapter
    descriptor, name = tempfile.mkstemp(suffix=".gguf")
    os.close(descriptor)
    try:
        write_adapter(Path(name), tensors, architecture=facts.architecture, alpha=settings.scale)
        session.attach(Path(name))
    finally:
        Path(name).unlink(missing_ok=True)


def _find_checkpoint(path: Path, fingerprint: str) -> tuple[Checkpoint | None, str | None]:
    checkpoint = load_checkpoint(path)
    if checkpoint is None:
        note = "The checkpoint is damaged, so the training begins anew." if path.exists() else None
        return None, note
    if checkpoint.state.fingerprint != fingerprint:
        return None, "The checkpoint belongs to other data or settings, so the training begins anew."
    return checkpoint, None


def _take_fingerprint(job: Job, material: Material) -> str:
    """Return what tells this training from every other, whatever the machine."""
    settings = msgspec.structs.replace(job.configure.settings, threads=None, checkpoint_every_s=1.0)
    digest = hashlib.sha256(_FORMAT + msgspec.json.encode(settings))
    base = Path(job.configure.base)
    digest.update(base.stat().st_size.to_bytes(8, "little"))
    with base.open("rb") as file:
        digest.update(file.read(_HEADER_BYTES))
    digest.update(msgspec.msgpack.encode(material.training.packing))
    for sample in material.training.included:
        digest.update(np.asarray(sample.tokens, "<i4").tobytes())
        digest.update(np.asarray(sample.answers, "<i4").tobytes())
    return digest.hexdigest()


def _plan(setting: Setting) -> TrainingPlan:
    packing = setting.material.training.packing
    included = setting.material.training.included
    copying, settings = setting.copying, setting.settings
    epochs = settings.epochs or choose_epochs(len(packing.rows))
    steps = count_steps(len(packing.rows), epochs)
    return TrainingPlan(
        architecture=setting.facts.architecture,
        samples=len(included),
        too_long=len(packing.too_long),
        too_long_rows=packing.too_long[:_SHOWN_ROWS],
        without_answer=len(packing.without_answer),
        tokens=sum(count_positions(sample) for sample in included),
        answer_tokens=sum(end - max(first, 1) for sample in included for first, end in sample.answers),
        row_length=packing.row_length,
        rows=len(packing.rows),
        steps=steps,
        epochs=epochs,
        learning_rate=settings.learning_rate or choose_learning_rate(setting.facts.n_embd),
        first_step=setting.first_step,
        parameters=count_parameters(setting.matrices, settings.rank),
        threads=setting.threads,
        notes=tuple(text for text in (copying.note, setting.note, _note_epochs(settings, epochs)) if text),
        estimate=TrainingEstimate(
            seconds=_estimate_seconds(setting, steps),
            memory_bytes=copying.memory_bytes + setting.material.training.size_bytes,
        ),
    )


def _note_epochs(settings: TrainingSettings, epochs: float) -> str | None:
    if settings.epochs is not None or epochs <= USUAL_EPOCHS:
        return None
    return f"The samples are few, so {epochs:g} passes are made over them instead of {USUAL_EPOCHS:g}."


def _estimate_seconds(setting: Setting, steps: int) -> float:
    is_new = setting.first_step == 0
    return estimate_seconds(
        forward_s=_measure_forward(setting.session),
        steps=steps - setting.first_step,
        evaluated_rows=count_examined_rows(setting.material) * (2 if is_new else 1),
        has_copies=setting.copying.copy_type is not None,
    )


def _measure_forward(session: TrainingSession) -> float:
    """Return the time of a forward pass; the weights are warm since `start`."""
    started_s = time.monotonic()
    session.decode([0] * session.n_ctx)
    return time.monotonic() - started_s
