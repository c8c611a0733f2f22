"""Who may talk to the daemon: pure decisions on the head of a request, made before its body is read.

The browser of this machine is an attacker: every page it shows can send requests to localhost. Three things
stop that. A page that renamed itself to a loopback address (DNS rebinding) is told by its `Host`. A page of
another site is told by its `Origin`. A form, which browsers send without asking first, is told by its
content type. Programs other than browsers send none of these, and are not hindered.
"""

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from puna.api.dialect import Access
from puna.api.head import RequestHead
from puna.errors import ConfigError, ForbiddenError, UnauthenticatedError, UnsupportedMediaTypeError

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_KEY_ADVICE = "keys are not available yet, so only this machine is served"


@dataclass(frozen=True, kw_only=True)
class GuardPolicy:
    """What the settings and this start of the daemon allow."""

    allowed_hosts: frozenset[str]
    """Names beside localhost and the address that was connected to; lower case, without port."""
    allowed_origins: frozenset[str]
    """Sites whose pages may use the daemon, as browsers write them: `https://example.org`."""
    admin_token: str

    @classmethod
    def of_settings(
        cls, allowed_hosts: tuple[str, ...], allowed_origins: tuple[str, ...], admin_token: str
    ) -> "GuardPolicy":
        """Return the policy, its names normalised."""
        return cls(
            allowed_hosts=frozenset(host.strip().lower().rstrip(".") for host in allowed_hosts),
            allowed_origins=frozenset(normalise_origin(origin) for origin in allowed_origins),
            admin_token=admin_token,
        )


@dataclass(frozen=True, kw_only=True)
class RouteRules:
    """What the guard must know of the route."""

    access: Access
    takes_multipart: bool = False


def check_head(head: RequestHead, rules: RouteRules, policy: GuardPolicy) -> str | None:
    """Let the request pass or raise the error that refuses it.

    Returns the origin that may read the answer, when the request names one. Raises `ForbiddenError`,
    `UnauthenticatedError` or `UnsupportedMediaTypeError`.
    """
    check_host(head, policy)
    origin = check_origin(head, policy)
    check_peer(head)
    if head.is_preflight:
        return origin
    check_content_type(head, takes_multipart=rules.takes_multipart)
    if rules.access is Access.ADMIN:
        check_admin_token(head, policy)
    return origin


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


def check_peer(head: RequestHead) -> None:
    """Refuse whatever does not come from this machine: it needs a key, and there are none yet."""
    if not is_from_this_machine(head):
        raise UnauthenticatedError(f"Requests from other machines need a key; {_KEY_ADVICE}.")


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


def check_admin_token(head: RequestHead, policy: GuardPolicy) -> None:
    """Ask for the token of the endpoint file, compared in constant time."""
    scheme, _, token = (head.header("Authorization") or "").partition(" ")
    is_right = hmac.compare_digest(token.strip().encode(), policy.admin_token.encode())
    if scheme.lower() != "bearer" or not policy.admin_token or not is_right:
        raise UnauthenticatedError(
            "This route needs the admin token of the running daemon as a bearer token."
        )


def check_bind(host: str) -> None:
    """Refuse to listen beyond this machine while no key exists. Raises `ConfigError`."""
    if host != "localhost" and not _is_loopback(host):
        raise ConfigError(
            f"The setting host ({host}) would open the daemon to other machines, and they need a key; "
            f"{_KEY_ADVICE}: use localhost, 127.0.0.1 or ::1."
        )


def is_from_this_machine(head: RequestHead) -> bool:
    """Whether the client runs here, and does not pass on what came from elsewhere: a tunnel, a proxy."""
    if not _is_loopback(head.peer_address) or "Forwarded" in head.headers:
        return False
    forwarded_for = ",".join(head.headers_named("X-Forwarded-For"))
    return all(_is_loopback(address.strip()) for address in forwarded_for.split(",") if address.strip())


def normalise_origin(origin: str) -> str:
    """Return an origin in lower case, without a trailing slash."""
    return origin.strip().lower().rstrip("/")


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
