"""Devices of other machines, through llama.cpp's RPC back end, where this llama.cpp was built with it.

What the RPC back end can do it tells by name (ggml/src/ggml-rpc/ggml-rpc.cpp), as llama.cpp's own programs ask for
it (`add_rpc_devices` in common/arg.cpp).
"""

import ctypes
import pathlib
import socket
import threading
from collections.abc import Callable, Sequence

import llama_cpp
from llama_cpp import _ctypes_extensions

from puna.llama import registry
from puna.llama.model import LlamaError

_CONNECT_TIMEOUT_S = 5.0
_GREETING_TIMEOUT_S = 10.0
_NAME = b"RPC"
_ADD_SERVER = b"ggml_backend_rpc_add_server"

_registry = registry.library
_base = _ctypes_extensions.load_shared_library("ggml-base", pathlib.Path(llama_cpp.__file__).parent / "lib")

_registry.ggml_backend_reg_by_name.argtypes = [ctypes.c_char_p]
_registry.ggml_backend_reg_by_name.restype = ctypes.c_void_p
_registry.ggml_backend_register.argtypes = [ctypes.c_void_p]
_registry.ggml_backend_register.restype = None
_base.ggml_backend_reg_get_proc_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_base.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p

_AddServer = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)
_added: set[str] = set()


def can_use_servers() -> bool:
    """Return whether this llama.cpp was built with RPC. After `library.start()`."""
    return bool(llama_cpp.llama_supports_rpc())


def add_servers(servers: Sequence[str]) -> None:
    """Let llama.cpp use the devices of these servers, each `host:port`. Before a model is loaded.

    Raises `LlamaError` where it cannot, with what to do; a server is tried first, as llama.cpp waits for one that
    does not answer without end.
    """
    if not servers:
        return
    add = _find_add_server()
    for server in servers:
        if server in _added:
            continue
        _check_reachable(server)
        registered = _call_in_time(add, server.encode())
        if not registered:
            raise LlamaError(
                f"{server} in rpc_servers is no RPC server that this llama.cpp can talk to; start an rpc-server of "
                "the same version there"
            )
        _registry.ggml_backend_register(registered)
        _added.add(server)


def _find_add_server() -> Callable[[bytes], int | None]:
    if not can_use_servers():
        raise LlamaError(
            "the setting rpc_servers needs a llama.cpp with RPC, and this one was built without; empty the setting, "
            "or install llama-cpp-python built with CMAKE_ARGS=-DGGML_RPC=on"
        )
    backend = _registry.ggml_backend_reg_by_name(_NAME)
    address = _base.ggml_backend_reg_get_proc_address(backend, _ADD_SERVER)
    if not address:
        raise LlamaError("the RPC of this llama.cpp is older than Puna knows; update llama-cpp-python")
    return _AddServer(address)


def _call_in_time(add: Callable[[bytes], int | None], server: bytes) -> int | None:
    """Return what the call returns; None where it takes too long, and its thread is left behind.

    llama.cpp waits without end for the greeting of what is no RPC server. The process ends with its failed load.
    """
    returned: list[int | None] = []
    thread = threading.Thread(target=lambda: returned.append(add(server)), name="rpc", daemon=True)
    thread.start()
    thread.join(_GREETING_TIMEOUT_S)
    return returned[0] if returned else None


def _check_reachable(server: str) -> None:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S):
            return
    except (OSError, ValueError) as error:
        raise LlamaError(
            f"the RPC server {server} cannot be reached ({error}); start it, or correct rpc_servers"
        ) from error
