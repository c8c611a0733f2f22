"""The functions of ggml's registry of back ends and devices, for which llama-cpp-python has no binding.

The registry is state of libggml, and the package's folder holds that library under several names, each a copy: what
is opened by its own name is another registry than the one that libllama uses. So the functions are looked up through
libllama, which finds those of the libraries that it is linked to; on Windows it does not, and there is one copy.
"""

import ctypes

import llama_cpp.llama_cpp
from llama_cpp import _ggml


def _find_library() -> ctypes.CDLL:
    through_llama: ctypes.CDLL = llama_cpp.llama_cpp._lib  # noqa: SLF001 - the one handle of libllama
    return through_llama if hasattr(through_llama, "ggml_backend_reg_count") else _ggml.libggml


library = _find_library()
"""Declare argument and result types on what is used of it."""
