"""Writes a model in another quantisation."""

import ctypes
from enum import IntEnum
from pathlib import Path
from typing import final

import llama_cpp

from puna.llama import library
from puna.llama.model import LlamaError


@final
class FileType(IntEnum):
    """How most weights of a file are stored; numbers of `enum llama_ftype`."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q8_0 = 7
    Q5_K_M = 17
    Q4_K_M = 15
    Q6_K = 18
    BF16 = 32


def quantise(
    source: Path, target: Path, file_type: FileType, *, threads: int = 1, is_pure: bool = False
) -> None:
    """Write `source` as `target` in another type, quantised files too, at some loss. After `library.start()`.

    With `is_pure` all matrices have the type, otherwise llama.cpp keeps some finer. Raises `LlamaError`, and then
    the target may be there in part.
    """
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    params.allow_requantize = True
    params.nthread = threads
    params.pure = is_pure
    library.log.last_error = ""
    code: int = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(params)
    )
    if code:
        raise LlamaError(library.log.last_error or f"llama.cpp could not write {target.name}")
