"""The sockets that the daemon listens on."""

import contextlib
import errno
import os
import socket
import sys

from puna.errors import DaemonError
from puna.sockets import port_in_use

_LOOPBACK = ("127.0.0.1", "::1")
_BACKLOG = 256
_TAKEN = {errno.EADDRINUSE, errno.EACCES if sys.platform == "win32" else errno.EADDRINUSE}
_NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_OPEN_FILES = 8192
"""Connections, and what else is open, that the daemon may have at the same time, where the system lets it."""

if sys.platform != "win32":
    import resource

    def _allow_many_connections() -> None:
        """Raise the process's own limit on open files: macOS begins with 256, most Linux systems with 1024."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

else:

    def _allow_many_connections() -> None:
        """Do nothing: Windows has no such limit on sockets."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Return bound sockets; `localhost` is both loopback addresses, on one port, where both exist.

    Port 0 takes a free one. The process may have many connections from now on. Raises `PortInUseError`, or
    `DaemonError` when the address is not of this machine.
    """
    _allow_many_connections()
    first, *others = _LOOPBACK if host == "localhost" else (host,)
    sockets = [_bind_one(first, port)]
    chosen: int = sockets[0].getsockname()[1]
    try:
        for address in others:
            sockets.extend(_bind_if_there(address, chosen))
    except DaemonError:
        for bound in sockets:
            bound.close()
        if port == 0:
            return bind(host, port)
        raise
    return sockets


def _bind_if_there(address: str, port: int) -> list[socket.socket]:
    """Return the second loopback's socket; none where the system has IPv6 turned off."""
    try:
        return [_bind_one(address, port)]
    except _MissingAddressError:
        return []


class _MissingAddressError(DaemonError):
    """The address is not one of this machine's."""


def _bind_one(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _MissingAddressError(f"{address} cannot be used: {error.strerror}.") from error
    try:
        _set_options(bound, family)
        bound.bind((address, port))
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise _translate(error, address, port) from error
    return bound


def _set_options(bound: socket.socket, family: int) -> None:
    """Allow a restart at once on POSIX; on Windows the same option would let others take the port."""
    if sys.platform == "win32":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _translate(error: OSError, address: str, port: int) -> DaemonError:
    if error.errno in _TAKEN:
        return port_in_use(address, port)
    if error.errno in _NO_SUCH_ADDRESS:
        return _MissingAddressError(f"{address} is not an address of this machine; set host to another one.")
    reason = error.strerror or os.strerror(error.errno or 0)
    hint = "; ports below 1024 need more rights, choose another with --port" if port and port < 1024 else ""
    return DaemonError(f"Puna cannot listen on {address}, port {port}: {reason}{hint}.")
