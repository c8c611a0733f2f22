"""What macOS tells by name."""

import ctypes
import ctypes.util


def read_text(name: str) -> str:
    """Return a text such as `machdep.cpu.brand_string`; empty where the system does not know the name."""
    return _read(name).rstrip(b"\0").decode("utf-8", "replace").strip()


def read_number(name: str) -> int:
    """Return a number such as `hw.perflevel0.physicalcpu`; 0 where the system does not know the name."""
    return int.from_bytes(_read(name), "little")


def _read(name: str) -> bytes:
    """Return the value's bytes: macOS runs on little-endian processors only."""
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    key, size = name.encode(), ctypes.c_size_t(0)
    if library.sysctlbyname(key, None, ctypes.byref(size), None, 0):
        return b""
    value = ctypes.create_string_buffer(size.value)
    if library.sysctlbyname(key, value, ctypes.byref(size), None, 0):
        return b""
    return value.raw[: size.value]
