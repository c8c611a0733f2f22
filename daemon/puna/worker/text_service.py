"""Serves a model that generates text."""

from puna.engine.protocol import Abort, Count, Embed, Generate, Rank, Shutdown
from puna.errors import InvalidRequestError
from puna.worker.engine import Engine
from puna.worker.mailbox import Cancelled, Expected, Stop, UnpreparedRequest
from puna.worker.preparation import Preparation, Preparer
from puna.worker.service import Request


class TextService:
    """The step loop, and the preparation beside it; a `puna.worker.service.Service`."""

    def __init__(self, engine: Engine, preparer: Preparer) -> None:
        self._engine = engine
        self._preparation = Preparation(preparer.prepare, engine.put)

    def accept(self, message: Request) -> None:
        """Take in a message; see `Service`."""
        match message:
            case Generate(request_id) | Count(request_id):
                self._engine.put(Expected(request_id))
                self._preparation.submit(message)
            case Embed(request_id) | Rank(request_id):
                error = InvalidRequestError("This is a text model; choose an embedding model or a reranker.")
                self._engine.put(Expected(request_id))
                self._engine.put(UnpreparedRequest(request_id, error))
            case Abort(request_id):
                self._preparation.forget(request_id)
                self._engine.put(Cancelled(request_id))
            case Shutdown():
                self._engine.put(Stop())

    def run(self) -> None:
        """Step; see `Service`."""
        self._engine.run()
