"""Which llama.cpp this is, what is in it, and what it sees. Never in the daemon: looking may crash a driver."""

import contextlib
import ctypes
import pathlib
import time
from collections.abc import Sequence

import llama_cpp
from llama_cpp import _ctypes_extensions

from puna.domain.hardware import LlamaBuild
from puna.llama import devices, library, registry, rpc
from puna.llama.model import LlamaError
from puna.llama.system_line import read_backends

_LIBRARIES = pathlib.Path(llama_cpp.__file__).parent / "lib"
_registry = registry.library
_base = _ctypes_extensions.load_shared_library("ggml-base", _LIBRARIES)
_llama = _ctypes_extensions.load_shared_library("llama", _LIBRARIES)

_registry.ggml_backend_reg_count.restype = ctypes.c_size_t
_registry.ggml_backend_reg_get.argtypes = [ctypes.c_size_t]
_registry.ggml_backend_reg_get.restype = ctypes.c_void_p
_base.ggml_backend_reg_name.argtypes = [ctypes.c_void_p]
_base.ggml_backend_reg_name.restype = ctypes.c_char_p


def read_build(rpc_servers: Sequence[str] = ()) -> LlamaBuild:
    """Start the library, let its back ends look for devices, and tell what came of it. Once in a process.

    RPC servers that cannot be used are passed over: a load says what is wrong with them.
    """
    library.start()
    with contextlib.suppress(LlamaError):
        rpc.add_servers(rpc_servers)
    found = devices.list_devices()
    return LlamaBuild(
        binding=llama_cpp.__version__,
        version=_text(_llama, "llama_version"),
        ggml_version=_text(_base, "ggml_version"),
        commit=_text(_base, "ggml_commit"),
        backends=read_backends(llama_cpp.llama_print_system_info().decode("utf-8", "replace"), _registered()),
        devices=found,
        complaint=library.log.last_error,
        taken_at=time.time(),
    )


def _registered() -> list[str]:
    count: int = _registry.ggml_backend_reg_count()
    names = [_base.ggml_backend_reg_name(_registry.ggml_backend_reg_get(i)) for i in range(count)]
    return [name.decode("utf-8", "replace") for name in names]


def _text(shared: ctypes.CDLL, name: str) -> str:
    """Call a function that takes nothing and returns a text; older builds lack some of them."""
    function = getattr(shared, name, None)
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    text: bytes | None = function()
    return (text or b"").decode("utf-8", "replace")
