"""What is known of a request before its body is read."""

import secrets
from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy


@dataclass(frozen=True, kw_only=True)
class RequestHead:
    """The head of a request and the two ends of its connection, as plain values."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    peer_address: str | None = None
    """Address of the client; None when the connection is already gone."""
    local_address: str | None = None
    """The address of this machine that the client connected to."""
    local_port: int | None = None
    request_id: str = ""
    """Puna's own name for the request, for dialects that tell it."""

    def header(self, name: str) -> str | None:
        """Return the first header of that name, in any case."""
        return self.headers.get(name)

    def headers_named(self, name: str) -> list[str]:
        """Return all headers of that name, in any case."""
        return self.headers.getall(name, [])

    @property
    def is_from_browser(self) -> bool:
        """Whether a web page made this request: only browsers send these headers."""
        return "Origin" in self.headers or any(name.lower().startswith("sec-fetch-") for name in self.headers)

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks for permission to send another request."""
        return self.method == "OPTIONS" and "Access-Control-Request-Method" in self.headers


def make_headers(pairs: dict[str, str]) -> CIMultiDictProxy[str]:
    """Return headers from plain pairs."""
    return CIMultiDictProxy(CIMultiDict(pairs))


def head_of(request: web.BaseRequest) -> RequestHead:
    """Return the head of a request."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    local = request.transport.get_extra_info("sockname") if request.transport else None
    return RequestHead(
        method=request.method,
        path=request.path,
        headers=request.headers,
        peer_address=peer[0] if isinstance(peer, tuple) else None,
        local_address=local[0] if isinstance(local, tuple) else None,
        local_port=local[1] if isinstance(local, tuple) else None,
        request_id=f"req_{secrets.token_hex(12)}",
    )
