"""Server-sent events of the control API, read by a blocking client."""

import http.client
from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Struct

from puna.errors import NotRunningError, PunaError
from puna.instance import Endpoint

_SILENCE_S = 60.0
"""A stream says something every ten seconds."""
_LINE_LIMIT = 1024 * 1024
_T = TypeVar("_T")


class _Refusal(Struct, frozen=True):
    detail: str = "no reason given"


def follow_events(
    endpoint: Endpoint, path: str, kind: type[_T], *, body: object | None = None
) -> Iterator[_T]:
    """Yield what each event of a stream tells, until the daemon ends it; with a body, of the answer to a POST.

    Raises `NotRunningError` when the connection is lost, `PunaError` when the daemon refuses, says that it failed, or
    is not understood.
    """
    connection = http.client.HTTPConnection(endpoint.connect_host, endpoint.port, timeout=_SILENCE_S)
    try:
        headers = {"Authorization": f"Bearer {endpoint.token}"}
        if body is None:
            connection.request("GET", path, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            connection.request("POST", path, msgspec.json.encode(body), headers)
        yield from _read(connection.getresponse(), kind)
    except (OSError, http.client.HTTPException) as error:
        raise NotRunningError(f"The connection to Puna was lost ({type(error).__name__}).") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PunaError(
            f"{endpoint.url} tells what this program does not understand; restart Puna, it may be of another version."
        ) from error
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, kind: type[_T]) -> Iterator[_T]:
    if response.status != 200:
        raise PunaError(reason_in(response.read(_LINE_LIMIT)))
    event = ""
    while line := response.readline(_LINE_LIMIT):
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"event":
            event = value.decode("ascii", "replace")
        elif name == b"data" and event == "error":
            raise PunaError(reason_in(value))
        elif name == b"data":
            yield msgspec.json.decode(value, type=kind)


def reason_in(body: bytes) -> str:
    """Return why the daemon refused, as the body of its answer says."""
    try:
        return msgspec.json.decode(body, type=_Refusal).detail
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "no reason given"
