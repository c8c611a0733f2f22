"""A small blocking client of the daemon's control API, for the command line and the tray."""

import http.client
from typing import TypeVar

import msgspec
from msgspec import Struct

from puna import instance
from puna.errors import NotRunningError, PunaError
from puna.instance import Endpoint, Presence, Probe
from puna.paths import Paths

_ANSWER_LIMIT = 4 * 1024 * 1024
_T = TypeVar("_T")


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model in memory, or on its way there. What a daemon does not know yet is None."""

    id: str
    state: str
    slots: int | None = None
    busy_slots: int | None = None
    waiting_requests: int | None = None
    context_length: int | None = None
    threads: int | None = None
    backend: str | None = None
    backend_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str | None = None


class DaemonStatus(Struct, frozen=True, kw_only=True):
    """What the running daemon says of itself."""

    instance: str
    version: str
    pid: int
    uptime_s: float
    address: str = ""
    requests: int = 0
    models: tuple[ModelStatus, ...] = ()


class _Refusal(Struct):
    detail: str


class _Acknowledgement(Struct):
    status: str = ""


class ControlClient:
    """Asks one daemon. Every call connects anew, past any proxy, and blocks for at most about `timeout_s`."""

    def __init__(self, endpoint: Endpoint, timeout_s: float = 5.0) -> None:
        self.endpoint = endpoint
        self._timeout_s = timeout_s

    def status(self) -> DaemonStatus:
        """Return what runs. Raises `NotRunningError` when nothing answers, `PunaError` when it refuses."""
        return self._ask("GET", "/puna/v1/status", DaemonStatus)

    def shutdown(self) -> None:
        """Ask the daemon to stop; it still drains after the answer. Errors as for `status`."""
        self._ask("POST", "/puna/v1/shutdown", _Acknowledgement)

    def _ask(self, method: str, path: str, answer: type[_T]) -> _T:
        try:
            status, body = self._exchange(method, path)
        except (OSError, http.client.HTTPException) as error:
            message = f"Nothing answers at {self.endpoint.url} ({type(error).__name__}: {error})."
            raise NotRunningError(message) from error
        try:
            if status >= 400:
                raise PunaError(f"Puna refused: {msgspec.json.decode(body, type=_Refusal).detail}")
            return msgspec.json.decode(body, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PunaError(
                f"{self.endpoint.url} does not answer as Puna does; is it another program?"
            ) from error

    def _exchange(self, method: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(
            self.endpoint.connect_host, self.endpoint.port, timeout=self._timeout_s
        )
        try:
            headers = {"Authorization": f"Bearer {self.endpoint.token}"}
            body = b"{}" if method == "POST" else None
            if body:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(_ANSWER_LIMIT)
        finally:
            connection.close()


def probe(paths: Paths, timeout_s: float = 2.0) -> Probe:
    """Say whether a daemon of this user runs, starts, or is gone. Blocks for at most about `timeout_s`."""
    return instance.probe(paths, lambda endpoint: is_answering(endpoint, timeout_s))


def is_answering(endpoint: Endpoint, timeout_s: float = 2.0) -> bool:
    """Whether the daemon of this endpoint answers there, and not a later one or another program."""
    try:
        return ControlClient(endpoint, timeout_s).status().instance == endpoint.instance
    except PunaError:
        return False


def connect(paths: Paths, timeout_s: float = 5.0) -> ControlClient:
    """Return a client of the running daemon. Raises `NotRunningError` with the next step."""
    found = probe(paths)
    if found.presence is Presence.RUNNING and found.endpoint is not None:
        return ControlClient(found.endpoint, timeout_s)
    if found.presence is Presence.STARTING:
        raise NotRunningError("Puna is starting or does not answer; try again in a moment, or `puna stop`.")
    raise NotRunningError("Puna does not run; `puna start` starts it.")
