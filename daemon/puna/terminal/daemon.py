"""What the chat asks of the daemon. Each question finds it anew, so a chat outlives a restart of the daemon."""

import threading
from collections.abc import Callable
from urllib.parse import quote

import msgspec
from msgspec import Struct

from puna.errors import PunaError
from puna.instance import Endpoint
from puna.terminal.answer_stream import AnswerStream
from puna.terminal.conversation import Conversation
from puna.terminal.http_door import ask, open_stream
from puna.terminal.wire import RefusedError, encode_request

FindDaemon = Callable[[], Endpoint]
"""Returns where the daemon answers, and starts one where none runs. Raises `PunaError`."""
_NOT_FOUND = 404
_LOAD_TIMEOUT_S = 3600.0
_GLANCE_S = 1.0
"""For what is only shown while something else is waited for."""


class KnownModel(Struct, frozen=True):
    """A model that can run."""

    id: str
    max_model_len: int | None = None


class LoadingModel(Struct, frozen=True):
    """A model in memory, or on its way there."""

    id: str
    state: str
    progress: float = 0.0
    context_length: int | None = None
    backend: str | None = None


class _Models(Struct, frozen=True):
    data: tuple[KnownModel, ...]


class _Status(Struct, frozen=True):
    models: tuple[LoadingModel, ...] = ()


class _Load(Struct, frozen=True):
    model: str
    prompt: str
    stream: bool


class _Anything(Struct, frozen=True):
    pass


class ChatDaemon:
    """Asks one daemon. Every method blocks, and raises `PunaError` unless it says otherwise."""

    def __init__(self, find: FindDaemon) -> None:
        self._find = find
        self._asked: Endpoint | None = None
        """Where the last answer comes from."""

    @property
    def endpoint(self) -> Endpoint:
        """Where the daemon is now."""
        return self._find()

    def answer(self, conversation: Conversation) -> AnswerStream:
        """Ask for the next turn."""
        body = encode_request(conversation)
        self._asked = self._find()
        return AnswerStream(open_stream(self._asked, "POST", "/v1/chat/completions", body))

    def models(self) -> tuple[str, ...]:
        """Return the names of the models that can run."""
        return list_models(self._find())

    def has_model(self, name: str) -> bool:
        """Return whether a model of this name is on this machine."""
        try:
            ask(self._find(), "GET", f"/v1/models/{quote(name, safe='/:@')}", KnownModel)
        except RefusedError as refusal:
            if refusal.status == _NOT_FOUND:
                return False
            raise
        return True

    def resident(self, name: str) -> LoadingModel | None:
        """Return the model of a name where it is in memory, or the one that is being loaded."""
        return _find_resident(self._find(), name)

    def waiting_for(self, name: str) -> str:
        """Return what keeps an answer of a model, for the user; a glance that starts no daemon, and never raises."""
        try:
            model = _find_resident(self._asked or self._find(), name, timeout_s=_GLANCE_S)
        except PunaError:
            model = None
        if model is not None and model.state == "loading":
            return f"loading {model.id}, {model.progress:.0%} ..."
        return "waiting ..."

    def warm_up(self, name: str) -> None:
        """Have a model loaded in the background, while the first question is typed; never raises."""
        threading.Thread(target=self._load, args=(name,), name="warm up", daemon=True).start()

    def _load(self, name: str) -> None:
        """An empty prompt loads and generates nothing. What fails here is told when the model is asked."""
        body = msgspec.json.encode(_Load(name, "", stream=False))
        try:
            ask(self._find(), "POST", "/api/generate", _Anything, body, timeout_s=_LOAD_TIMEOUT_S)
        except PunaError:
            return


def list_models(endpoint: Endpoint, timeout_s: float = 10.0) -> tuple[str, ...]:
    """Return the names of the models that can run. Raises `PunaError`."""
    found = ask(endpoint, "GET", "/v1/models", _Models, timeout_s=timeout_s)
    return tuple(model.id for model in found.data)


def _find_resident(endpoint: Endpoint, name: str, timeout_s: float = 10.0) -> LoadingModel | None:
    models = ask(endpoint, "GET", "/puna/v1/status", _Status, timeout_s=timeout_s).models
    found = [model for model in models if model.id == name]
    return next(iter(found or [model for model in models if model.state == "loading"]), None)
