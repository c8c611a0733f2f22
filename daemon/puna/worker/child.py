"""The worker process: wires pipe, preparation and engine, and ends when the daemon does."""

import faulthandler
import gc
import os
import signal
import threading
import traceback

from puna.engine.protocol import Failed, Load, Loaded, Loading, Shutdown, ToWorker
from puna.errors import ModelLoadError
from puna.worker.loading import load
from puna.worker.outbox import Outbox
from puna.worker.pipe import EXIT_OK, ParentPipe
from puna.worker.service import Service

EXIT_LOAD_FAILED = 3
EXIT_PROTOCOL = 4
_PROGRESS_STEP = 0.02


def run() -> int:
    """Serve one model until the daemon says `Shutdown` or is gone. Returns the exit code."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then says Shutdown
    pipe = ParentPipe.take_over_stdio()
    first = pipe.read()
    if first is None:
        return EXIT_OK
    if len(first) != 1 or not isinstance(first[0], Load):
        return EXIT_PROTOCOL
    inbox = Inbox(pipe)
    try:
        runtime = load(first[0], Outbox(pipe.write), Progress(pipe))
    except ModelLoadError as error:
        pipe.write([Failed(None, error.kind, error.message)])
        return EXIT_LOAD_FAILED
    gc.freeze()  # what the load has made stays: no collection needs to walk through it
    inbox.connect(runtime.service)
    pipe.write([Loaded(runtime.loaded)])
    runtime.service.run()
    return EXIT_OK


class Progress:
    """Tells the daemon how far the load is, in steps that are worth a message."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._told = 0.0

    def __call__(self, progress: float) -> None:
        """Take in the progress, 0 to 1."""
        if progress - self._told >= _PROGRESS_STEP:
            self._told = progress
            self._pipe.write([Loading(progress)])


class Inbox:
    """Reads the pipe from the first moment, so that a daemon that is gone is noticed while a model loads too.

    The daemon sends requests only after `Loaded`; what comes before that ends the process.
    """

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._service: Service | None = None
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def connect(self, service: Service) -> None:
        """Pass messages on to this from now."""
        self._service = service

    def _read(self) -> None:
        """End the process with the pipe, or when it brings what is no message: nobody else hears the daemon."""
        try:
            while (messages := self._pipe.read()) is not None:
                for message in messages:
                    self._pass(message)
        except Exception:  # noqa: BLE001 - a worker that is deaf must not stay
            traceback.print_exc()
            os._exit(EXIT_PROTOCOL)
        os._exit(EXIT_OK)

    def _pass(self, message: ToWorker) -> None:
        if self._service is None:
            os._exit(EXIT_OK if isinstance(message, Shutdown) else EXIT_PROTOCOL)
        if isinstance(message, Load):
            os._exit(EXIT_PROTOCOL)
        self._service.accept(message)
