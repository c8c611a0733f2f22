"""The loaded llama.cpp library: its start and its log."""

import ctypes
import os

import llama_cpp

_LEVEL_DEBUG, _LEVEL_ERROR, _LEVEL_CONTINUE = 1, 4, 5
"""Of `enum ggml_log_level` in ggml.h; `CONTINUE` is more of the message before."""
_STDERR = 2


class LibraryLog:
    """Writes llama.cpp's messages to file descriptor 2 and remembers the last error.

    llama.cpp calls it from any of its threads and for the life of the process, so the module keeps the one
    instance: a collected ctypes callback is a segmentation fault.
    """

    def __init__(self) -> None:
        self.last_error = ""
        self._level = 0
        self.callback = llama_cpp.llama_log_callback(self._write)

    def _write(self, level: int, text: bytes, _user_data: object) -> None:
        if level != _LEVEL_CONTINUE:
            self._level = level
        if self._level == _LEVEL_ERROR:
            self.last_error = text.decode("utf-8", "replace").strip() or self.last_error
        if self._level != _LEVEL_DEBUG:
            os.write(_STDERR, text)


log = LibraryLog()


def start() -> None:
    """Route the log and initialise the backends. Once in a process, before any other call."""
    llama_cpp.llama_log_set(log.callback, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
