"""The training itself: step after step, with checkpoints, and the adapter at its end."""

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from puna.domain.training import Evaluation, TrainingPlan, TrainingProgress, TrainingResult
from puna.engine.trainer_protocol import Checkpointed, Configure, Done, Evaluated, FromTrainer, Stepped
from puna.errors import InvalidRequestError, StoreError
from puna.llama.training.session import TrainingSession
from puna.trainer.adapter_file import write_adapter
from puna.trainer.checkpoint import Checkpoint, TrainingState, save_checkpoint
from puna.trainer.examination import examine
from puna.trainer.gguf_file import FloatArray
from puna.trainer.material import Material
from puna.trainer.pacing import Pacer
from puna.trainer.packing import count_positions
from puna.trainer.peak_memory import peak_memory
from puna.trainer.schedule import DataOrder, learning_rate

_TELL_EVERY_S = 0.1
_PACE_STEPS = 16
"""Steps that the speed is told of."""

Tell = Callable[[FromTrainer], None]


class Training:
    """One run over all steps. Of one thread."""

    def __init__(
        self,
        configure: Configure,
        session: TrainingSession,
        pacer: Pacer,
        material: Material,
        plan: TrainingPlan,
        fingerprint: str,
        checkpoint: Checkpoint | None,
    ) -> None:
        """`checkpoint` is what the session goes on from."""
        state = None if checkpoint is None else checkpoint.state
        self.plan = plan
        self.step = plan.first_step
        """Steps that are done."""
        self._configure = configure
        self._settings = configure.settings
        self._session = session
        self._pacer = pacer
        self._material = material
        self._fingerprint = fingerprint
        self._order = DataOrder(plan.rows, self._settings.seed)
        self._gradient_scale = plan.row_length * plan.rows / max(plan.answer_tokens, 1)
        self._losses = deque(() if state is None else state.losses, maxlen=plan.rows)
        self._before: Evaluation | None = None if state is None else state.before
        self._seconds_before = 0.0 if state is None else state.seconds
        self._started_s = time.monotonic()
        self._saved_s = self._told_s = self._started_s
        self._pace: deque[tuple[float, int]] = deque(maxlen=_PACE_STEPS)

    def run(self, tell: Tell, check: Callable[[], None]) -> None:
        """Train to the end and write the adapter. `check` is called between steps and may raise.

        Raises `StoreError` when the disk does not take the checkpoint or the adapter, and `InvalidRequestError` when
        the numbers overflow.
        """
        self._started_s = self._saved_s = time.monotonic()
        if self._before is None:
            self._before = self._examine(tell, check, is_after=False)
        while self.step < self.plan.steps:
            check()
            self._train_step(tell)
            self._pacer.adapt()
            if time.monotonic() - self._saved_s >= self._settings.checkpoint_every_s:
                self.save()
                tell(Checkpointed(self.step))
        after = self._examine(tell, check, is_after=True)
        self._write_adapter()
        tell(Done(self._result(after)))

    def save(self) -> None:
        """Write the checkpoint, unless no step was done since the one before.

        Raises `StoreError` and `InvalidRequestError` as `run`; the one before is still there then.
        """
        if self.step == self.plan.first_step:
            return  # the optimizer has not taken up the moments that it shall go on with
        state = TrainingState(
            fingerprint=self._fingerprint,
            step=self.step,
            losses=tuple(self._losses),
            before=self._before,
            seconds=self._seconds(),
        )
        checkpoint = Checkpoint(state, self._read_adapter(), self._session.read_moments())
        try:
            save_checkpoint(Path(self._configure.checkpoint), checkpoint)
        except OSError as error:
            raise StoreError(
                f"The checkpoint cannot be written ({error.strerror}); free some space."
            ) from error
        self._saved_s = time.monotonic()

    def discard(self) -> None:
        """Remove the checkpoint, where there is one that can be removed."""
        with contextlib.suppress(OSError):
            Path(self._configure.checkpoint).unlink(missing_ok=True)

    def _examine(self, tell: Tell, check: Callable[[], None], *, is_after: bool) -> Evaluation | None:
        evaluation = examine(self._session, self._material, check)
        if evaluation is not None:
            self._check_number(evaluation.loss)
            tell(Evaluated(is_after, evaluation))
        return evaluation

    def _train_step(self, tell: Tell) -> None:
        started_s = time.monotonic()
        number = self.step + 1
        index = self._order.row_of(number)
        row = self._material.training.build(index)
        rate = learning_rate(number, self.plan.steps, self.plan.learning_rate, self._settings)
        score = self._session.step(
            row,
            number=number,
            learning_rate=rate,
            weight_decay=self._settings.weight_decay,
            gradient_scale=self._gradient_scale,
        )
        loss = score.loss_sum / max(len(score.losses), 1)
        self._check_number(loss)
        self.step = number
        self._losses.append(loss)
        self._note_pace(time.monotonic() - started_s, index)
        if time.monotonic() - self._told_s >= _TELL_EVERY_S or number in (1, self.plan.steps):
            self._told_s = time.monotonic()
            tell(Stepped(self._progress(loss, rate)))

    def _note_pace(self, seconds: float, row: int) -> None:
        packed = self._material.training
        tokens = sum(count_positions(packed.samples[i]) for i in packed.packing.rows[row])
        self._pace.append((seconds, tokens))

    def _progress(self, loss: float, rate: float) -> TrainingProgress:
        seconds = sum(seconds for seconds, _ in self._pace)
        return TrainingProgress(
            step=self.step,
            steps=self.plan.steps,
            epoch=self.step / self.plan.rows,
            loss=loss,
            learning_rate=rate,
            tokens_per_s=sum(tokens for _, tokens in self._pace) / max(seconds, 1e-9),
            seconds_left=(self.plan.steps - self.step) * seconds / len(self._pace),
        )

    def _read_adapter(self) -> dict[str, FloatArray]:
        tensors = self._session.read_adapter()
        if not all(np.isfinite(values).all() for values in tensors.values()):
            raise self._overflowed()
        return tensors

    def _check_number(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise self._overflowed()

    def _overflowed(self) -> InvalidRequestError:
        if self.step == 0:
            return InvalidRequestError(
                "The base model computes no numbers for these samples; choose another one."
            )
        return InvalidRequestError(
            f"The numbers of the adapter became too large after step {self.step}; choose a lower learning rate than "
            f"{self.plan.learning_rate:g}, or a lower alpha."
        )

    def _write_adapter(self) -> None:
        configure = self._configure
        tensors = self._read_adapter()
        try:
            write_adapter(
                Path(configure.adapter),
                tensors,
                architecture=self.plan.architecture,
                alpha=self._settings.scale,
                metadata=configure.metadata,
            )
        except OSError as error:
            self.save()
            raise StoreError(f"The adapter cannot be written ({error.strerror}); free some space.") from error

    def _result(self, after: Evaluation | None) -> TrainingResult:
        return TrainingResult(
            steps=self.step,
            loss=sum(self._losses) / max(len(self._losses), 1),
            before=self._before,
            after=after,
            seconds=self._seconds(),
            memory_bytes=peak_memory(),
            parameters=self.plan.parameters,
        )

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started_s
