"""What the daemon asks for, taken in beside the training."""

import os
import queue
import threading

from msgspec import Struct, field

from puna.domain.training import Choice, Sample
from puna.engine.protocol import ProtocolError
from puna.engine.trainer_protocol import (
    AddChoices,
    AddHeldOut,
    AddSamples,
    Begin,
    Cancel,
    Configure,
    Prepare,
    ToTrainer,
)
from puna.trainer.pipe import ParentPipe

EXIT_OK = 0
EXIT_PROTOCOL = 4


class CancelledError(Exception):
    """The daemon does not want the training any more."""


class Job(Struct, kw_only=True):
    """All that the daemon sent before `Prepare`."""

    configure: Configure
    samples: list[Sample] = field(default_factory=list)
    held_out: list[Sample] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)


class Inbox:
    """Reads the pipe from the first moment, so that a daemon that is gone ends the process at any time."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._messages: queue.SimpleQueue[ToTrainer] = queue.SimpleQueue()
        self._is_cancelled = threading.Event()
        self.keeps_checkpoint = True
        """What `Cancel` said."""
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def receive_job(self) -> Job:
        """Wait for everything up to `Prepare`. Raises `ProtocolError`, `CancelledError`."""
        first = self._messages.get()
        if not isinstance(first, Configure):
            raise ProtocolError("the first message must be Configure")
        job = Job(configure=first)
        while True:
            self.check()
            match self._messages.get():
                case AddSamples(samples):
                    job.samples.extend(samples)
                case AddHeldOut(samples):
                    job.held_out.extend(samples)
                case AddChoices(choices):
                    job.choices.extend(choices)
                case Prepare():
                    return job
                case Cancel():
                    continue
                case message:
                    raise ProtocolError(f"{type(message).__name__} came before Prepare")

    def wait_for_begin(self) -> None:
        """Wait until the training is wanted. Raises `ProtocolError`, `CancelledError`."""
        message = self._messages.get()
        self.check()
        if not isinstance(message, Begin):
            raise ProtocolError(f"{type(message).__name__} came instead of Begin")

    def check(self) -> None:
        """Raise `CancelledError` when the daemon said so; from any thread."""
        if self._is_cancelled.is_set():
            raise CancelledError

    def _read(self) -> None:
        try:
            while (messages := self._pipe.read()) is not None:
                for message in messages:
                    self._take(message)
        except ProtocolError:
            os._exit(EXIT_PROTOCOL)
        os._exit(EXIT_OK)

    def _take(self, message: ToTrainer) -> None:
        if isinstance(message, Cancel):
            self.keeps_checkpoint = message.keeps_checkpoint
            self._is_cancelled.set()
        self._messages.put(message)
