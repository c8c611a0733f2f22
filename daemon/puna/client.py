"""A small blocking client of the daemon's control API, for the command line and the tray."""

import http.client
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from puna import instance
from puna.domain.hardware import Hardware
from puna.errors import NotRunningError, PunaError
from puna.instance import Endpoint, Presence, Probe
from puna.keys.records import Key, KeyWish, NewKey, Organisation
from puna.paths import Paths

_ANSWER_LIMIT = 64 * 1024 * 1024
"""Lists of datasets with their reports, of models and of jobs are long."""
_T = TypeVar("_T")


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model in memory, or on its way there. What a daemon does not know yet is None."""

    id: str
    state: str
    progress: float | None = None
    """Of a load, from 0 to 1."""
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
    organisation: str = ""
    """The id of the default one."""
    models: tuple[ModelStatus, ...] = ()


class _Keys(Struct):
    keys: tuple[Key, ...]


class _FirstKey(Struct):
    made: NewKey | None


class _Organisations(Struct):
    organisations: tuple[Organisation, ...]


class _Refusal(Struct):
    detail: str


class _Stopping(Struct):
    at_most_s: float = 0.0


class ControlClient:
    """Asks one daemon. Every call connects anew, past any proxy, and blocks for at most about `timeout_s`."""

    _says_refused = "Puna refused: "
    """What stands before the daemon's own words."""

    def __init__(self, endpoint: Endpoint, timeout_s: float = 5.0) -> None:
        self.endpoint = endpoint
        self._timeout_s = timeout_s

    def status(self) -> DaemonStatus:
        """Return what runs. Raises `NotRunningError` when nothing answers, `PunaError` when it refuses."""
        return self._ask("GET", "/puna/v1/status", DaemonStatus)

    def hardware(self) -> Hardware:
        """Return what the machine has and what its models use. Errors as for `status`."""
        return self._ask("GET", "/puna/v1/hardware", Hardware)

    def shutdown(self) -> float:
        """Ask the daemon to stop, and return how many seconds it may take after the answer. Errors as for `status`."""
        return self._ask("POST", "/puna/v1/shutdown", _Stopping).at_most_s

    def keys(self) -> tuple[Key, ...]:
        """Return the keys that hold. Errors as for `status`."""
        return self._ask("GET", "/puna/v1/keys", _Keys).keys

    def create_key(self, wish: KeyWish) -> NewKey:
        """Make a key. Errors as for `status`."""
        return self._ask("POST", "/puna/v1/keys", NewKey, wish)

    def create_first_key(self) -> NewKey | None:
        """Make the key of the first start; None when there has been one. Errors as for `status`."""
        return self._ask("POST", "/puna/v1/keys/first", _FirstKey).made

    def revoke_key(self, key_id: str) -> Key:
        """End a key. Errors as for `status`."""
        return self._ask("DELETE", f"/puna/v1/keys/{quote(key_id, safe='')}", Key)

    def organisations(self) -> tuple[Organisation, ...]:
        """Return all, the default one first. Errors as for `status`."""
        return self._ask("GET", "/puna/v1/organisations", _Organisations).organisations

    def create_organisation(self, name: str) -> Organisation:
        """Make an organisation. Errors as for `status`."""
        return self._ask("POST", "/puna/v1/organisations", Organisation, {"name": name})

    def _ask(self, method: str, path: str, answer: type[_T], body: object = None) -> _T:
        try:
            status, reply = self._exchange(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            message = f"Nothing answers at {self.endpoint.url} ({type(error).__name__}: {error})."
            raise NotRunningError(message) from error
        try:
            if status >= 400:
                raise PunaError(self._says_refused + msgspec.json.decode(reply, type=_Refusal).detail)
            return msgspec.json.decode(reply, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PunaError(
                f"{self.endpoint.url} does not answer as Puna does; is it another program?"
            ) from error

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(
            self.endpoint.connect_host, self.endpoint.port, timeout=self._timeout_s
        )
        try:
            headers = {"Authorization": f"Bearer {self.endpoint.token}"}
            content = msgspec.json.encode({} if body is None else body) if method == "POST" else None
            if content:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, content, headers)
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
