"""The closed set of messages between the daemon and a trainer. Frames are those of `engine.protocol`.

The daemon sends `Configure`, the samples in as many messages as it likes, and `Prepare`; the trainer answers with
`Prepared` and waits. `Begin` starts the training; `Done`, `Cancelled` or `Failed` is the trainer's last word. The
end of the pipe ends it at once.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from puna.domain.training import (
    Choice,
    Evaluation,
    Sample,
    TrainingPlan,
    TrainingProgress,
    TrainingResult,
    TrainingSettings,
)
from puna.engine.protocol import ProtocolError, to_frame
from puna.errors import ErrorKind


class Configure(Struct, frozen=True, kw_only=True, tag="configure"):
    """What to train and where to keep it. The first message, sent once."""

    base: str
    """Path of the model's file, which is only read."""
    adapter: str
    """Path of the adapter to write when all is done."""
    checkpoint: str
    """Path of the checkpoint; one that is there and fits is gone on from. It is left when all is done."""
    settings: TrainingSettings
    metadata: dict[str, str] = {}
    """Texts for the adapter's header, such as the hash of the base model."""


class AddSamples(Struct, frozen=True, tag="samples"):
    """More samples to train on."""

    samples: tuple[Sample, ...]


class AddHeldOut(Struct, frozen=True, tag="held_out"):
    """More samples that the loss is measured on, before and after."""

    samples: tuple[Sample, ...]


class AddChoices(Struct, frozen=True, tag="choices"):
    """More questions that the accuracy is measured with, before and after."""

    choices: tuple[Choice, ...]


class Prepare(Struct, frozen=True, tag="prepare"):
    """That was all; load the model and say what will happen."""


class Begin(Struct, frozen=True, tag="begin"):
    """Train."""


class Cancel(Struct, frozen=True, tag="cancel"):
    """Stop after the running step; the checkpoint, with all that was learnt, is kept or removed."""

    keeps_checkpoint: bool = True


ToTrainer = Configure | AddSamples | AddHeldOut | AddChoices | Prepare | Begin | Cancel


class Loading(Struct, frozen=True, tag="loading"):
    """Progress of the load, 0 to 1."""

    progress: float


class Prepared(Struct, frozen=True, tag="prepared"):
    """What `Begin` would start."""

    plan: TrainingPlan


class Stepped(Struct, frozen=True, tag="stepped"):
    """A step is done; not every one is told when they are short."""

    progress: TrainingProgress


class Evaluated(Struct, frozen=True, tag="evaluated"):
    """The samples that are held out were measured, before the first step or after the last."""

    is_after: bool
    evaluation: Evaluation


class Checkpointed(Struct, frozen=True, tag="checkpointed"):
    """The checkpoint's file holds all steps up to this one."""

    step: int


class Done(Struct, frozen=True, tag="done"):
    """The adapter's file is there."""

    result: TrainingResult


class Cancelled(Struct, frozen=True, tag="cancelled"):
    """The training was stopped; `step` steps were done."""

    step: int
    has_checkpoint: bool


class TrainingFailed(Struct, frozen=True, tag="failed"):
    """It cannot go on. A checkpoint that is there stays."""

    kind: ErrorKind
    message: str


FromTrainer = Loading | Prepared | Stepped | Evaluated | Checkpointed | Done | Cancelled | TrainingFailed

_encoder = msgspec.msgpack.Encoder()
_to_trainer = msgspec.msgpack.Decoder(list[ToTrainer])
_from_trainer = msgspec.msgpack.Decoder(list[FromTrainer])


def encode_frame(messages: Sequence[ToTrainer] | Sequence[FromTrainer]) -> bytes:
    """Return one frame with these messages."""
    return to_frame(_encoder.encode(messages))


def decode_to_trainer(body: bytes) -> list[ToTrainer]:
    """Return the daemon's messages. Raises `ProtocolError`."""
    try:
        return _to_trainer.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(str(error)) from error


def decode_from_trainer(body: bytes) -> list[FromTrainer]:
    """Return the trainer's messages. Raises `ProtocolError`."""
    try:
        return _from_trainer.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(str(error)) from error
