"""The merger process: its order, the merge, and its end with the daemon's."""

import contextlib
import os
import threading

from puna.domain.merging import MergeOrder, MergePhase, MergeProgress
from puna.engine.background import begin_child, yield_to_others
from puna.engine.merger_protocol import Merged, MergeFailed, Progressed
from puna.engine.protocol import ProtocolError
from puna.errors import ErrorKind, PunaError
from puna.merging.pipe import OrderPipe

EXIT_OK = 0
EXIT_FAILED = 3
EXIT_PROTOCOL = 4
_MOST_THREADS = 8
_GRACE_S = 10.0
"""For the piece that is being converted when the daemon stops the merge."""
_STEPS = 200
"""Messages of progress for each phase, at most."""


def run() -> int:
    """Merge what the daemon orders. Returns the exit code."""
    begin_child()
    pipe = OrderPipe.take_over_stdio()
    try:
        order = pipe.receive()
    except ProtocolError:
        return EXIT_PROTOCOL
    is_over = threading.Event()
    pipe.watch(is_over, _GRACE_S, EXIT_FAILED)
    yield_to_others()
    with contextlib.suppress(BrokenPipeError):
        return _merge(order, pipe, is_over)
    return EXIT_OK


def _merge(order: MergeOrder, pipe: OrderPipe, is_over: threading.Event) -> int:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # pieces are converted in threads of our own
    from puna.llama.model import LlamaError
    from puna.merging.merge import CancelledError, merge

    def check() -> None:
        if is_over.is_set():
            raise CancelledError

    try:
        result = merge(order, Teller(pipe), check, threads=min(os.cpu_count() or 1, _MOST_THREADS))
    except CancelledError:
        return EXIT_OK
    except PunaError as error:
        return _fail(pipe, MergeFailed(error.kind, error.message, error.field))
    except LlamaError as error:
        return _fail(pipe, MergeFailed(ErrorKind.MODEL_LOAD_FAILED, f"The model cannot be merged: {error}."))
    except MemoryError:
        return _fail(
            pipe,
            MergeFailed(ErrorKind.MODEL_LOAD_FAILED, "Memory ran out; close other programs and try again."),
        )
    pipe.tell(Merged(result))
    return EXIT_OK


def _fail(pipe: OrderPipe, failed: MergeFailed) -> int:
    pipe.tell(failed)
    return EXIT_FAILED


class Teller:
    """Tells the daemon how far the merge is, in steps that are worth a message."""

    def __init__(self, pipe: OrderPipe) -> None:
        self._pipe = pipe
        self._told: tuple[MergePhase, int] | None = None

    def __call__(self, progress: MergeProgress) -> None:
        """Take in the progress. Raises `BrokenPipeError` when the daemon is gone."""
        step = progress.phase, progress.done_bytes * _STEPS // max(progress.total_bytes, 1)
        if step != self._told:
            self._told = step
            self._pipe.tell(Progressed(progress))
