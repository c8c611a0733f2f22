"""A switch that ends a running decode."""

import ctypes
import sys

import llama_cpp

_libc = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)


class AbortFlag:
    """Ends a running decode from any thread.

    llama.cpp asks a C callback between graph nodes (CPU only). A Python callback would take the interpreter
    lock some hundred times a step, so the callback is libc's `strlen` on a two-byte buffer: 0 or 1.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        address = ctypes.cast(_libc.strlen, ctypes.c_void_p).value or 0
        self.callback = llama_cpp.ggml_abort_callback(address)
        self.data = ctypes.cast(self._buffer, ctypes.c_void_p)

    def set(self) -> None:
        """End the running decode, or the next one."""
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        """Let decodes run."""
        self._buffer[0] = b"\x00"

    @property
    def is_set(self) -> bool:
        """Whether it is up."""
        return self._buffer[0] != b"\x00"
