"""The trainer process: pipe, training, and its end with the daemon's."""

import contextlib
import os

from puna.engine.background import begin_child, yield_to_others
from puna.engine.protocol import ProtocolError
from puna.engine.trainer_protocol import Cancelled, FromTrainer, Loading, TrainingFailed
from puna.errors import ErrorKind, PunaError
from puna.trainer.inbox import EXIT_OK, EXIT_PROTOCOL, CancelledError, Inbox, Job
from puna.trainer.pipe import ParentPipe

EXIT_FAILED = 3
_PROGRESS_STEP = 0.05


def run() -> int:
    """Train what the daemon sends, until it is done or the daemon is gone. Returns the exit code."""
    begin_child()
    pipe = ParentPipe.take_over_stdio()
    with contextlib.suppress(BrokenPipeError):  # the daemon is gone
        return _work(Inbox(pipe), pipe)
    return EXIT_OK


def _work(inbox: Inbox, pipe: ParentPipe) -> int:
    try:
        job = inbox.receive_job()
    except ProtocolError:
        return EXIT_PROTOCOL
    except CancelledError:
        pipe.write(Cancelled(0, has_checkpoint=False))
        return EXIT_OK
    yield_to_others()
    return _train(job, inbox, pipe)


def _train(job: Job, inbox: Inbox, pipe: ParentPipe) -> int:
    # numpy's matrix library reads this when it is loaded. Its threads spin beside llama.cpp's: with two of each on
    # two cores and another process, a step took ten times as long.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # libgomp's threads spin for milliseconds at every barrier before they sleep: beside one other busy process, a
    # step on two of two cores took 4 to 10 s so, and 1.4 to 2.4 s with this.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ["GGML_NO_BACKTRACE"] = "1"  # at an abort: a debugger's lines would hide what ggml says
    from puna.llama import library
    from puna.llama.model import LlamaError
    from puna.trainer.run import train

    library.start()
    try:
        return train(job, inbox, pipe.write, Progress(pipe))
    except PunaError as error:
        return _fail(pipe, error.kind, error.message)
    except LlamaError as error:
        return _fail(pipe, ErrorKind.MODEL_LOAD_FAILED, f"The model cannot be fine-tuned: {error}.")
    except OSError as error:
        return _fail(
            pipe, ErrorKind.INTERNAL, f"A file cannot be read or written ({error.strerror}); free some space."
        )
    except MemoryError:
        return _fail(
            pipe, ErrorKind.MODEL_LOAD_FAILED, "Memory ran out; close other programs, or choose shorter rows."
        )


def _fail(pipe: ParentPipe, kind: ErrorKind, message: str) -> int:
    pipe.write(TrainingFailed(kind, message))
    return EXIT_FAILED


class Progress:
    """Tells the daemon how far the load is, in steps that are worth a message."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._told = 0.0

    def __call__(self, progress: float) -> None:
        """Take in the progress, 0 to 1."""
        if progress - self._told >= _PROGRESS_STEP:
            self._told = progress
            message: FromTrainer = Loading(progress)
            self._pipe.write(message)
