"""Serves an embedding model or a reranker."""

import queue
import threading

from puna.domain.models import ModelKind
from puna.engine.protocol import Abort, Count, Embed, Generate, Rank, Shutdown
from puna.errors import InvalidRequestError, PunaError
from puna.worker.embedding.engine import EmbeddingEngine
from puna.worker.embedding.preparation import NO_TEXT, InputPreparer
from puna.worker.engine import Cancelled, Expected, Stop
from puna.worker.preparation import CountedPrompt, UnpreparedRequest
from puna.worker.service import Request


class EmbeddingService:
    """The step loop, and the preparation beside it; a `puna.worker.service.Service`."""

    def __init__(self, kind: ModelKind, engine: EmbeddingEngine, preparer: InputPreparer) -> None:
        self._kind = kind
        self._engine = engine
        self._preparer = preparer
        self._queue: queue.SimpleQueue[Embed | Rank | Count] = queue.SimpleQueue()
        threading.Thread(target=self._prepare, name="preparation", daemon=True).start()

    def accept(self, message: Request) -> None:
        """Take in a message; see `Service`."""
        match message:
            case Embed(request_id) | Rank(request_id) | Count(request_id):
                self._engine.put(Expected(request_id))
                self._queue.put(message)
            case Generate(request_id):
                self._engine.put(Expected(request_id))
                self._engine.put(UnpreparedRequest(request_id, InvalidRequestError(NO_TEXT[self._kind])))
            case Abort(request_id):
                self._engine.put(Cancelled(request_id))
            case Shutdown():
                self._engine.put(Stop())

    def run(self) -> None:
        """Step; see `Service`."""
        self._engine.run()

    def _prepare(self) -> None:
        while True:
            message = self._queue.get()
            try:
                match message:
                    case Count(request_id, prompt):
                        self._engine.put(CountedPrompt(request_id, self._preparer.count(prompt)))
                    case _:
                        self._engine.put(self._preparer.prepare(message))
            except PunaError as error:
                self._engine.put(UnpreparedRequest(message.request_id, error))
