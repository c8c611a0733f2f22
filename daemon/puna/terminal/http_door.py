"""The daemon over HTTP as the terminal needs it: short questions, and answers that stream. Past any proxy."""

import contextlib
import http.client
import socket
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from puna.errors import NotRunningError, PunaError
from puna.instance import Endpoint
from puna.terminal.wire import decode_refusal

_T = TypeVar("_T")
_ANSWER_LIMIT = 16 * 1024 * 1024
_LINE_LIMIT = 4 * 1024 * 1024
_SILENCE_S = 3600.0
"""How long a stream may be silent: above all limits of the daemon, which ends answers itself."""


class StreamingReply:
    """An answer that comes line by line. `lines` may run in one thread while another one closes it."""

    def __init__(self, connection: http.client.HTTPConnection, sock: socket.socket) -> None:
        self._connection = connection
        self._sock = sock
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def lines(self) -> Iterator[bytes]:
        """Yield the lines. Raises `PunaError` when the daemon refuses, `NotRunningError` when it goes away.

        Ends quietly once it is closed.
        """
        try:
            with self._connection.getresponse() as response:
                if response.status >= 400:
                    raise decode_refusal(response.status, response.read(_ANSWER_LIMIT))
                while line := response.readline(_LINE_LIMIT):
                    yield line
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not self._is_closed:
                raise NotRunningError(f"The answer broke off ({type(error).__name__}: {error}).") from error
        finally:
            self._connection.close()

    def close(self) -> None:
        """Leave: the daemon frees the slot. Idempotent; wakes a thread that waits in `lines`."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def open_stream(endpoint: Endpoint, method: str, path: str, body: bytes | None = None) -> StreamingReply:
    """Send a request whose answer streams; does not wait for it. Raises `NotRunningError`."""
    connection = _connection(endpoint, 10.0)
    try:
        connection.connect()
        sock = connection.sock
        sock.settimeout(_SILENCE_S)
        connection.request(method, path, body, _headers(endpoint, body))
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise _gone(endpoint, error) from error
    return StreamingReply(connection, sock)


def ask(
    endpoint: Endpoint,
    method: str,
    path: str,
    answer: type[_T],
    body: bytes | None = None,
    *,
    timeout_s: float = 10.0,
) -> _T:
    """Return the whole answer to a short question. Raises `NotRunningError`, or `PunaError` for a refusal."""
    connection = _connection(endpoint, timeout_s)
    try:
        connection.request(method, path, body, _headers(endpoint, body))
        with connection.getresponse() as response:
            content = response.read(_ANSWER_LIMIT)
    except (OSError, http.client.HTTPException) as error:
        raise _gone(endpoint, error) from error
    finally:
        connection.close()
    if response.status >= 400:
        raise decode_refusal(response.status, content)
    try:
        return msgspec.json.decode(content, type=answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PunaError(f"{endpoint.url} does not answer as Puna does; is it another program?") from error


def _connection(endpoint: Endpoint, timeout_s: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(endpoint.connect_host, endpoint.port, timeout=timeout_s)


def _headers(endpoint: Endpoint, body: bytes | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    return headers if body is None else headers | {"Content-Type": "application/json"}


def _gone(endpoint: Endpoint, error: Exception) -> NotRunningError:
    return NotRunningError(f"Nothing answers at {endpoint.url} ({type(error).__name__}: {error}).")
