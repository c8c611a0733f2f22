"""From where a request may come: pure decisions on its head, made before its body is read.

The browser of this machine is an attacker: every page it shows can send requests to localhost. Three things
stop that. A page that renamed itself to a loopback address (DNS rebinding) is told by its `Host`. A page of
another site is told by its `Origin`. A form, which browsers send without asking first, is told by its
content type. Programs other than browsers send none of these, and are not hindered. Who it is that asks,
and what a key is good for, `puna.api.access` decides.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from puna.api.head import RequestHead
from puna.engine.upstream.passage import INSTANCES_HEADER, read_passed
from puna.errors import ConfigError, ForbiddenError, InvalidRequestError, UnsupportedMediaTypeError

_PROXY_HEADERS = ("Forwarded", "Via")
"""What passed through a proxy that sends these comes from elsewhere, whatever they say."""
_SENDER_HEADERS = ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP")
"""Addresses for which a proxy asks."""
_ENCODINGS = frozenset({"identity", "gzip", "deflate"})
"""What aiohttp decodes; br and zstd it refuses itself."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, kw_only=True)
class GuardPolicy:
    """What the settings allow."""

    allowed_hosts: frozenset[str]
    """Names beside localhost and the address that was connected to; lower case, without port."""
    allowed_origins: frozenset[str]
    """Sites whose pages may use the daemon, as browsers write them: `https://example.org`."""

    @classmethod
    def of_settings(cls, allowed_hosts: tuple[str, ...], allowed_origins: tuple[str, ...]) -> "GuardPolicy":
        """Return the policy, its names normalised."""
        return cls(
            allowed_hosts=frozenset(host.strip().lower().rstrip(".") for host in allowed_hosts),
            allowed_origins=frozenset(normalise_origin(origin) for origin in allowed_origins),
        )


def check_source(head: RequestHead, policy: GuardPolicy) -> str | None:
    """Refuse requests that a foreign page is behind, whatever it asks for.

    Returns the origin that may read the answer, when the request names one. Raises `ForbiddenError`.
    """
    check_host(head, policy)
    return check_origin(head, policy)


def check_host(head: RequestHead, policy: GuardPolicy) -> None:
    """Refuse a request for a name that is not this machine's: a rebound DNS name."""
    hosts = head.headers_named("Host")
    if len(hosts) == 1 and _is_known_host(_host_name(hosts[0]), head, policy):
        return
    shown = repr(hosts[0][:100]) if hosts else "missing"
    raise ForbiddenError(
        f"The Host header ({shown}) is not a name of this daemon; "
        "use localhost, or add the name to the setting allowed_hosts."
    )


def check_origin(head: RequestHead, policy: GuardPolicy) -> str | None:
    """Refuse pages of other sites; return the origin of a page that may use the daemon."""
    origins = head.headers_named("Origin")
    if not origins:
        if head.header("Sec-Fetch-Site") == "cross-site" and not _is_followed_link(head):
            raise _foreign_origin("another site")
        return None
    origin = normalise_origin(origins[0])
    if len(origins) == 1 and (origin in policy.allowed_origins or _is_own_origin(origin, head, policy)):
        return origins[0]
    raise _foreign_origin(", ".join(origins))


def check_content_type(head: RequestHead, *, takes_multipart: bool) -> None:
    """Refuse what a page can send without asking first: forms and plain text."""
    if head.method in _SAFE_METHODS or not head.is_from_browser:
        return
    media_type = (head.header("Content-Type") or "").partition(";")[0].strip().lower()
    if media_type == "application/json" or (takes_multipart and media_type == "multipart/form-data"):
        return
    wanted = "application/json or multipart/form-data" if takes_multipart else "application/json"
    raise UnsupportedMediaTypeError(
        f"A request from a web page needs the content type {wanted}, not {media_type or 'none'}."
    )


def check_content_encoding(head: RequestHead) -> None:
    """Refuse a body in an encoding that nobody here decodes: it would be taken for the text itself."""
    encoding = (head.header("Content-Encoding") or "identity").strip().lower()
    if encoding not in _ENCODINGS:
        raise UnsupportedMediaTypeError(
            f"The content encoding {encoding[:50]} is not known here; send the body as it is, or in gzip or deflate."
        )


def check_no_loop(head: RequestHead, instance: str) -> tuple[str, ...]:
    """Refuse a request that this very daemon sent, as the client of a remote model: it would wait for itself.

    Returns the other instances of Puna that it has passed, the first one first.
    """
    passed = read_passed(head.headers_named(INSTANCES_HEADER))
    if instance in passed:
        raise InvalidRequestError(
            "This request comes back to where it began: the URL of a remote model leads to this Puna itself; change it."
        )
    return passed


def check_bind(host: str, *, has_keys: bool) -> None:
    """Refuse to listen beyond this machine while no key exists. Raises `ConfigError`."""
    if not has_keys and host != "localhost" and not _is_loopback(host):
        raise ConfigError(
            f"The setting host ({host}) would open the daemon to other machines, which need a key, and there "
            "is none: `puna keys create --name NAME` makes one; or use localhost."
        )


def is_from_this_machine(head: RequestHead) -> bool:
    """Whether the client asks over loopback, and does not pass on what came from elsewhere: a tunnel, a proxy."""
    return _is_loopback(head.peer_address) and not _is_passed_on(head)


def is_sent_here(head: RequestHead) -> bool:
    """Whether the client runs on this machine, over whatever address it asks, and passes on nothing from elsewhere.

    Both ends of a connection have one address only where both are here: from elsewhere no answer would get back.
    """
    peer = _address(head.peer_address)
    is_here = peer is not None and (peer.is_loopback or peer == _address(head.local_address))
    return is_here and not _is_passed_on(head)


def normalise_origin(origin: str) -> str:
    """Return an origin in lower case, without a trailing slash."""
    return origin.strip().lower().rstrip("/")


def _is_passed_on(head: RequestHead) -> bool:
    if any(name in head.headers for name in _PROXY_HEADERS):
        return True
    senders = ",".join(value for name in _SENDER_HEADERS for value in head.headers_named(name))
    return not all(_is_loopback(address.strip()) for address in senders.split(",") if address.strip())


def _foreign_origin(origin: str) -> ForbiddenError:
    return ForbiddenError(
        f"Pages of {origin[:200]} may not use this daemon; the setting allowed_origins lists those that may."
    )


def _is_known_host(name: str, head: RequestHead, policy: GuardPolicy) -> bool:
    if name == "localhost" or name.endswith(".localhost") or name in policy.allowed_hosts:
        return True
    # A page can take over a name, not an address: loopback and the address that was connected to are safe.
    return _is_loopback(name) or (
        _address(name) is not None and _address(name) == _address(head.local_address)
    )


def _is_own_origin(origin: str, head: RequestHead, policy: GuardPolicy) -> bool:
    try:
        parts = urlsplit(origin)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return False
    if parts.netloc == (head.header("Host") or "").lower():
        return True
    return port == head.local_port and _is_known_host(parts.hostname, head, policy)


def _is_followed_link(head: RequestHead) -> bool:
    """Whether a person followed a link from another site: that site cannot see the answer."""
    is_page = head.header("Sec-Fetch-Mode") == "navigate" and head.header("Sec-Fetch-Dest") == "document"
    return head.method in {"GET", "HEAD"} and is_page


def _host_name(host: str) -> str:
    """Return a Host header without its port and brackets, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_loopback(text: str | None) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback
