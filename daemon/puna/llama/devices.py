"""The compute devices that ggml sees.

llama-cpp-python has no binding for `ggml_backend_dev_*` (ggml/include/ggml-backend.h), so the functions are
declared here. The registry lives in libggml, the device functions in libggml-base.
"""

import ctypes
import pathlib

import llama_cpp
from llama_cpp import _ctypes_extensions

from puna.domain.models import Device
from puna.llama import registry

_KINDS = ("cpu", "gpu", "igpu", "accel")
"""`enum ggml_backend_dev_type` in its order."""

_registry = registry.library
_base = _ctypes_extensions.load_shared_library("ggml-base", pathlib.Path(llama_cpp.__file__).parent / "lib")

_registry.ggml_backend_dev_count.restype = ctypes.c_size_t
_registry.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
_registry.ggml_backend_dev_get.restype = ctypes.c_void_p
_base.ggml_backend_dev_name.argtypes = [ctypes.c_void_p]
_base.ggml_backend_dev_name.restype = ctypes.c_char_p
_base.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
_base.ggml_backend_dev_description.restype = ctypes.c_char_p
_base.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
_base.ggml_backend_dev_type.restype = ctypes.c_int
_base.ggml_backend_dev_memory.argtypes = [
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_size_t),
    ctypes.POINTER(ctypes.c_size_t),
]
_base.ggml_backend_dev_memory.restype = None


def list_devices() -> tuple[Device, ...]:
    """Return all devices, the CPU among them. After `library.start()`."""
    count: int = _registry.ggml_backend_dev_count()
    return tuple(_describe(_registry.ggml_backend_dev_get(i)) for i in range(count))


def _describe(handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _base.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    kind: int = _base.ggml_backend_dev_type(handle)
    return Device(
        name=_base.ggml_backend_dev_name(handle).decode("utf-8", "replace"),
        description=_base.ggml_backend_dev_description(handle).decode("utf-8", "replace"),
        kind=_KINDS[kind] if 0 <= kind < len(_KINDS) else "accel",
        memory_total_bytes=total.value,
        memory_free_bytes=free.value,
    )
