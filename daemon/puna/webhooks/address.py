"""Where a webhook may point. Pure: names are resolved elsewhere, and each of their addresses judged here.

A client hands in the URL, and the daemon calls it from inside: without rules it would be a way to services that
the client cannot reach itself. Programs on this machine are the normal receivers; the daemon's own routes take a
delivery for a request from elsewhere, since it carries `Via` (`puna.api.guard`), and want a key.
"""

import ipaddress
import re

from msgspec import Struct
from yarl import URL

from puna.errors import InvalidRequestError

URL_LIMIT = 2048
_SCHEMES = frozenset({"http", "https"})
_NUMERIC_LABEL = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def _nets(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_METADATA = _nets(
    "169.254.169.254/32",  # most clouds
    "169.254.170.2/32",  # containers at AWS
    "fd00:ec2::254/128",  # AWS
    "fd20:ce::254/128",  # Google
    "100.100.100.200/32",  # Alibaba
    "168.63.129.16/32",  # Azure
    "192.0.0.192/32",  # Oracle
)
_UNSPECIFIED = _nets("0.0.0.0/8", "::/128")
_PRIVATE = _nets("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GIVEN_OUT = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out (IANA); beyond it lie old and local ways to IPv4, which may lead to this machine."""
_RESERVED = _nets("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")
"""What `is_global` of some Pythons takes for open internet and IANA's registries of special addresses do not."""


class AddressRules(Struct, frozen=True, kw_only=True):
    """What the settings allow beyond the open internet."""

    allow_loopback: bool = True
    """Receivers on this machine."""
    allow_private: bool = False
    """Receivers on the networks around it: home, office, VPN."""


class Target(Struct, frozen=True):
    """A receiver, as a URL names it."""

    host: str
    """A name, or an address without brackets; lower case."""
    port: int

    @property
    def receiver(self) -> str:
        """By what messages to the same receiver are known."""
        return f"{self.host}:{self.port}"


class AddressRefusedError(InvalidRequestError):
    """The rules forbid the address."""


def parse_target(text: str) -> Target:
    """Return the receiver of a URL. Raises `AddressRefusedError` for everything that can be no webhook's."""
    if len(text) > URL_LIMIT:
        raise _refused(f"`url` has {len(text)} characters; {URL_LIMIT} are the most.")
    if not text.isprintable() or " " in text or "\\" in text:
        raise _refused("`url` has characters that a URL cannot have; encode them with %.")
    try:
        url = URL(text)
        host, port = url.raw_host, url.port
    except ValueError as error:
        raise _refused(f"`url` is not a URL: {error}.") from error
    if url.scheme not in _SCHEMES or not host or not port:
        raise _refused("`url` must be a whole http or https URL, such as https://example.org/hook.")
    if url.raw_user is not None or url.raw_password is not None:
        raise _refused("`url` must not hold a name or a password; the signature tells who sends.")
    if url.raw_fragment:
        raise _refused("`url` must not have a part behind #: it would never be sent.")
    return Target(_fit_host(host), port)


def receiver_of(url: str) -> str:
    """Return by what messages to the same receiver are known, for a URL that was fit for a webhook once."""
    try:
        return parse_target(url).receiver
    except AddressRefusedError:
        return url


def judge_address(text: str, rules: AddressRules) -> str | None:
    """Return what a forbidden address is, as in `is link-local`; None where messages may go there."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "is no address"
    verdicts = (_judge(each, rules) for each in _ends_of(address))
    return next((verdict for verdict in verdicts if verdict is not None), None)


def refusal(address: str, verdict: str, host: str) -> AddressRefusedError:
    """Return the error for an address with such a verdict, to which the host leads."""
    where = address if address == host else f"{host} leads to {address}, which"
    return _refused(f"Webhooks must not point there: {where} {verdict}.")


def _judge(address: IpAddress, rules: AddressRules) -> str | None:
    if _is_in(address, _METADATA):
        return "is a metadata service of clouds"
    if address.is_loopback:
        return None if rules.allow_loopback else "is this machine, which a setting forbids"
    if _is_in(address, _UNSPECIFIED):
        return "is unspecified"
    if address.is_multicast:
        return "is multicast"
    if address.is_link_local:
        return "is link-local"
    if _is_in(address, _PRIVATE):
        return None if rules.allow_private else "is private, and no setting allows that"
    return None if _is_open_internet(address) else "is reserved"


def _is_open_internet(address: IpAddress) -> bool:
    """Whether it is neither broadcast, documentation, benchmarks, site-local, nor never given out."""
    is_given_out = address.version == 4 or address in _GIVEN_OUT
    return address.is_global and is_given_out and not _is_in(address, _RESERVED)


def _ends_of(address: IpAddress) -> tuple[IpAddress, ...]:
    """Return the address, and the IPv4 addresses to which an IPv6 address leads in the end."""
    if not isinstance(address, ipaddress.IPv6Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    inner = [address.sixtofour, *(address.teredo or ())]
    return (address, *(each for each in inner if each is not None))


def _is_in(address: IpAddress, nets: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return any(address in net for net in nets)


def _fit_host(host: str) -> str:
    """Refuse addresses in forms that programs read differently: 127.1, 0x7f000001, 2130706433."""
    host = host.lower()
    last = host.rstrip(".").rpartition(".")[2]
    if ":" not in host and _NUMERIC_LABEL.fullmatch(last):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise _refused("`url` must name an IPv4 address as four numbers from 0 to 255.") from error
    return host


def _refused(message: str) -> AddressRefusedError:
    return AddressRefusedError(message, field="url")
