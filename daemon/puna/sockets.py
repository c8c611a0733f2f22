"""Who holds a port."""

import psutil

from puna.errors import PortInUseError


def port_in_use(host: str, port: int) -> PortInUseError:
    """Return the error for an address that could not be bound, with its holder where that can be known."""
    holder = port_holder(port) or "another program"
    return PortInUseError(
        f"Port {port} on {host} is taken by {holder}: stop that program, or choose another port with --port.",
        field="port",
    )


def port_holder(port: int) -> str | None:
    """Return name and process number of who listens on a TCP port of this machine.

    None when that is hidden: other users' programs are, without administrator rights. Takes milliseconds.
    """
    for pid in sorted(_listeners(port)):
        try:
            return f"{psutil.Process(pid).name()} (process {pid})"
        except psutil.Error:
            continue
    return None


def _listeners(port: int) -> set[int]:
    try:
        return {
            one.pid
            for one in psutil.net_connections(kind="tcp")
            if one.pid and _listens(one.status, one.laddr, port)
        }
    except psutil.AccessDenied:
        return {process.pid for process in psutil.process_iter() if _process_listens(process, port)}


def _process_listens(process: psutil.Process, port: int) -> bool:
    """macOS shows only the sockets of one's own processes, and only one process at a time."""
    try:
        return any(_listens(one.status, one.laddr, port) for one in process.net_connections(kind="tcp"))
    except psutil.Error:
        return False


def _listens(status: str, address: object, port: int) -> bool:
    return status == psutil.CONN_LISTEN and getattr(address, "port", None) == port
