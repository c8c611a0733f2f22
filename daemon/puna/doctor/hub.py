"""Whether the Hub can be reached. Sends no token."""

import socket
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from msgspec import Struct

from puna.doctor.finding import Finding, Section, ok, warning
from puna.doctor.patience import run_bounded

TIMEOUT_S = 4.0
"""For all of it: finding the address, connecting, and the first line of the answer."""


class HubState(Struct, frozen=True, kw_only=True):
    """What came of one request to the Hub."""

    host: str
    is_offline: bool = False
    """Whether a setting or the environment says that the Hub is not to be asked."""
    answered_in_s: float | None = None
    error: str | None = None


async def look_at_hub(endpoint: str, *, is_offline: bool, timeout_s: float = TIMEOUT_S) -> HubState:
    """Ask the Hub for nothing in particular; every answer of its own will do."""
    try:
        host = urlsplit(endpoint).netloc.rpartition("@")[2]
    except ValueError:
        return HubState(
            host="the Hub", error="its address is none; see HF_ENDPOINT and the setting hub_endpoint"
        )
    if is_offline:
        return HubState(host=host, is_offline=True)
    try:
        return await run_bounded(lambda: _ask(endpoint, host, timeout_s), timeout_s)
    except TimeoutError:
        return HubState(host=host, error=f"no answer within {timeout_s:.0f} s")


def judge_hub(state: HubState) -> Finding:
    """Say whether models can be searched and downloaded. Pure."""
    if state.is_offline:
        return ok(Section.NETWORK, "Hub", f"{state.host} is not asked: offline, as the settings say")
    if state.answered_in_s is not None:
        return ok(Section.NETWORK, "Hub", f"{state.host} answers in {state.answered_in_s * 1000:.0f} ms")
    return warning(
        Section.NETWORK,
        "Hub",
        f"{state.host} cannot be reached ({state.error}); models on disk work",
        "To download models, connect to the network; behind a proxy, set HTTPS_PROXY.",
    )


def _ask(endpoint: str, host: str, timeout_s: float) -> HubState:
    if urlsplit(endpoint).scheme not in ("http", "https"):
        return HubState(host=host, error="its address begins neither with http:// nor with https://")
    request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the scheme is checked above
    started_s = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310 - likewise
            pass
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            return HubState(host=host, error=f"it answers with status {error.code}")
    except Exception as error:  # noqa: BLE001 - whatever a proxy or a broken address leads to is the finding
        return HubState(host=host, error=_describe(error))
    return HubState(host=host, answered_in_s=time.monotonic() - started_s)


def _describe(error: Exception) -> str:
    """Say in a few words what went wrong, without addresses: a proxy's may hold a password."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted here; a proxy may read along"
        case socket.gaierror():
            return "its name is not known: no network, or no name server"
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "the connection was refused"
        case OSError() if reason.strerror:
            return reason.strerror
        case _:
            return type(reason).__name__
