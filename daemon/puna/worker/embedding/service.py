"""Serves an embedding model or a reranker."""

from puna.domain.models import ModelKind
from puna.engine.protocol import Abort, Count, Embed, Generate, Rank, Shutdown
from puna.errors import InvalidRequestError
from puna.worker.embedding.engine import EmbeddingEngine
from puna.worker.embedding.preparation import NO_TEXT, InputPreparer
from puna.worker.mailbox import Cancelled, Expected, Stop, UnpreparedRequest
from puna.worker.preparation import Preparation
from puna.worker.service import Request


class EmbeddingService:
    """The step loop, and the preparation beside it; a `puna.worker.service.Service`."""

    def __init__(self, kind: ModelKind, engine: EmbeddingEngine, preparer: InputPreparer) -> None:
        self._kind = kind
        self._engine = engine
        self._preparation = Preparation(preparer.prepare, engine.put)

    def accept(self, message: Request) -> None:
        """Take in a message; see `Service`."""
        match message:
            case Embed(request_id) | Rank(request_id) | Count(request_id):
                self._engine.put(Expected(request_id))
                self._preparation.submit(message)
            case Generate(request_id):
                self._engine.put(Expected(request_id))
                self._engine.put(UnpreparedRequest(request_id, InvalidRequestError(NO_TEXT[self._kind])))
            case Abort(request_id):
                self._preparation.forget(request_id)
                self._engine.put(Cancelled(request_id))
            case Shutdown():
                self._engine.put(Stop())

    def run(self) -> None:
        """Step; see `Service`."""
        self._engine.run()
