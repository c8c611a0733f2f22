"""The functions and structures of ggml that training needs and llama-cpp-python does not declare.

Structures mirror ggml.h, ggml-opt.h and llama.h. `check_layout` compares them with tensors whose fields are known
before any of them is relied on.
"""

import ctypes
import pathlib
from collections.abc import Iterable
from typing import TypeVar

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp import _ctypes_extensions

from puna.llama.model import LlamaError

F32, F16, Q8_0, I32, BF16 = 0, 1, 8, 26, 30
"""Of `enum ggml_type`."""
FLAG_PARAM = 4
"""Of `enum ggml_tensor_flag`."""
ADAMW = 0
"""Of `enum ggml_opt_optimizer_type`."""
_MAX_DIMS, _MAX_SRC, _NAME_BYTES, _OP_PARAMS = 4, 10, 64, 16
_OBJECT_BYTES = 32
"""`sizeof(struct ggml_object)`, which stands before each tensor of a context."""
_MOST_OPS = 128
_CHECK_BYTES = 1024 * 1024

_LIBRARIES = pathlib.Path(llama_cpp.__file__).parent / "lib"
base = _ctypes_extensions.load_shared_library("ggml-base", _LIBRARIES)
llama = _ctypes_extensions.load_shared_library("llama", _LIBRARIES)

Address = int
"""Where a tensor's structure lies."""
FloatArray = npt.NDArray[np.float32]
_Number = TypeVar("_Number", np.float32, np.int32)


class Tensor(ctypes.Structure):
    """`struct ggml_tensor`; made with `Tensor.from_address`, it reads and writes llama.cpp's own."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * _MAX_DIMS),
        ("nb", ctypes.c_size_t * _MAX_DIMS),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * _OP_PARAMS),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * _MAX_SRC),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * _NAME_BYTES),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    )


class OptimizerParams(ctypes.Structure):
    """`struct ggml_opt_optimizer_params`."""

    _fields_ = (
        ("alpha", ctypes.c_float),
        ("beta1", ctypes.c_float),
        ("beta2", ctypes.c_float),
        ("eps", ctypes.c_float),
        ("wd", ctypes.c_float),
        ("sgd_alpha", ctypes.c_float),
        ("sgd_wd", ctypes.c_float),
    )


class OptParams(ctypes.Structure):
    """`struct llama_opt_params`; llama-cpp-python's own lacks the last field."""

    _fields_ = (
        ("n_ctx_train", ctypes.c_uint32),
        ("param_filter", ctypes.c_void_p),
        ("param_filter_ud", ctypes.c_void_p),
        ("get_opt_pars", ctypes.c_void_p),
        ("get_opt_pars_ud", ctypes.c_void_p),
        ("optimizer_type", ctypes.c_int),
    )


class InitParams(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def _declare(
    name: str, restype: object, *argtypes: object, of: ctypes.CDLL = base
) -> "ctypes._NamedFuncPointer":
    function = getattr(of, name)
    function.restype, function.argtypes = restype, list(argtypes)
    return function  # type: ignore[no-any-return]  # what a CDLL has is known at run time only


_pointer, _int64 = ctypes.c_void_p, ctypes.c_int64
init = _declare("ggml_init", _pointer, InitParams)
free = _declare("ggml_free", None, _pointer)
new_tensor_2d = _declare("ggml_new_tensor_2d", _pointer, _pointer, ctypes.c_int, _int64, _int64)
set_name = _declare("ggml_set_name", _pointer, _pointer, ctypes.c_char_p)
set_param = _declare("ggml_set_param", None, _pointer)
get_data = _declare("ggml_get_data", _pointer, _pointer)
mul_mat = _declare("ggml_mul_mat", _pointer, _pointer, _pointer, _pointer)
scale = _declare("ggml_scale", _pointer, _pointer, _pointer, ctypes.c_float)
view_1d = _declare("ggml_view_1d", _pointer, _pointer, _pointer, _int64, ctypes.c_size_t)
tensor_overhead = _declare("ggml_tensor_overhead", ctypes.c_size_t)
op_name = _declare("ggml_op_name", ctypes.c_char_p, ctypes.c_int)
unary_op_name = _declare("ggml_unary_op_name", ctypes.c_char_p, ctypes.c_int)
glu_op_name = _declare("ggml_glu_op_name", ctypes.c_char_p, ctypes.c_int)
row_size = _declare("ggml_row_size", ctypes.c_size_t, ctypes.c_int, _int64)
quantize_chunk = _declare(
    "ggml_quantize_chunk", ctypes.c_size_t, ctypes.c_int, _pointer, _pointer, _int64, _int64, _int64, _pointer
)
tensor_get = _declare("ggml_backend_tensor_get", None, _pointer, _pointer, ctypes.c_size_t, ctypes.c_size_t)
tensor_set = _declare("ggml_backend_tensor_set", None, _pointer, _pointer, ctypes.c_size_t, ctypes.c_size_t)
buffer_from_ptr = _declare("ggml_backend_cpu_buffer_from_ptr", _pointer, _pointer, ctypes.c_size_t)
dataset_init = _declare("ggml_opt_dataset_init", _pointer, ctypes.c_int, ctypes.c_int, *[_int64] * 4)
dataset_data = _declare("ggml_opt_dataset_data", _pointer, _pointer)
dataset_labels = _declare("ggml_opt_dataset_labels", _pointer, _pointer)
default_optimizer = _declare("ggml_opt_get_default_optimizer_params", OptimizerParams, _pointer)
constant_optimizer = base.ggml_opt_get_constant_optimizer_params
opt_init = _declare("llama_opt_init", None, _pointer, _pointer, OptParams, of=llama)
opt_epoch = _declare("llama_opt_epoch", None, *[_pointer] * 4, _int64, _pointer, _pointer, of=llama)
set_adapters = _declare(
    "llama_set_adapters_lora", ctypes.c_int32, _pointer, _pointer, ctypes.c_size_t, _pointer, of=llama
)


class _TypeTraits(ctypes.Structure):
    """The beginning of `struct ggml_type_traits`."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    )


_type_traits = _declare("ggml_get_type_traits", ctypes.POINTER(_TypeTraits), ctypes.c_int)


def number_ops(wanted: Iterable[str]) -> dict[str, int]:
    """Return the number of each operation by its name; versions of ggml number them differently.

    Stops at the last one that is wanted: behind the last of all, ggml reads out of bounds. Raises `LlamaError`.
    """
    missing, numbers = set(wanted), {}
    for number in range(_MOST_OPS):
        name: str = op_name(number).decode()
        numbers[name] = number
        missing.discard(name)
        if not missing:
            return numbers
    raise LlamaError(f"this llama.cpp has no operation {', '.join(sorted(missing))}")


def address_of(handle: object) -> Address:
    """Return a handle of llama-cpp-python as a number."""
    return int(handle) if isinstance(handle, int) else ctypes.cast(handle, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def address_of_struct(tensor: Tensor) -> Address:
    """Return where a tensor's structure lies."""
    return ctypes.addressof(tensor)


def floats(tensor: Tensor) -> FloatArray:
    """Return the memory of an F32 tensor as an array with the dimensions in numpy's order, whatever its strides."""
    return _view(tensor, np.float32)


def integers(tensor: Tensor) -> npt.NDArray[np.int32]:
    """Return the memory of an I32 tensor, see `floats`."""
    return _view(tensor, np.int32)


def _view(tensor: Tensor, dtype: type[_Number]) -> npt.NDArray[_Number]:
    item = np.dtype(dtype).itemsize
    shape, strides = tuple(reversed(tensor.ne)), tuple(reversed(tensor.nb))
    extent = item + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True))
    memory = (ctypes.c_char * extent).from_address(tensor.data)
    return np.ndarray(shape, dtype, memory, strides=strides)


def read(address: Address) -> FloatArray:
    """Return a copy of a matrix in F32, wherever it lies."""
    tensor = Tensor.from_address(address)
    values = np.empty((tensor.ne[1], tensor.ne[0]), np.float32)
    tensor_get(address, values.ctypes.data, 0, values.nbytes)
    return values


def write(address: Address, values: FloatArray) -> None:
    """Put these numbers into a matrix in F32, wherever it lies."""
    array = np.ascontiguousarray(values, np.float32)
    tensor_set(address, array.ctypes.data, 0, array.nbytes)


def dequantise(tensor: Tensor, first: int, count: int) -> FloatArray:
    """Return `count` rows of a matrix in the CPU's memory, from row `first`, as numbers."""
    width: int = tensor.ne[0]
    rows = np.empty((count, width), np.float32)
    source = tensor.data + first * tensor.nb[1]
    if tensor.type == F32:
        ctypes.memmove(rows.ctypes.data, source, rows.nbytes)
    else:
        _type_traits(tensor.type).contents.to_float(source, rows.ctypes.data, count * width)
    return rows


def check_layout() -> None:
    """Compare the structures with tensors whose fields are known. Raises `LlamaError` where they differ."""
    context = init(InitParams(_CHECK_BYTES, None, False))
    try:
        differing = [what for what, is_right in _compare(context) if not is_right]
    finally:
        free(context)
    if differing:
        raise LlamaError(f"this llama.cpp lays out its structures otherwise ({', '.join(differing)})")


def _compare(context: int) -> Iterable[tuple[str, bool]]:
    ops = number_ops(("NONE", "MUL_MAT", "SCALE"))
    a, b = new_tensor_2d(context, F32, 7, 5), new_tensor_2d(context, F32, 7, 3)
    set_name(a, b"layout")
    set_param(a)
    product, scaled = mul_mat(context, a, b), scale(context, b, 2.0)
    known, derived = Tensor.from_address(a), Tensor.from_address(product)
    part = Tensor.from_address(view_1d(context, a, 3, 8))
    yield "size", tensor_overhead() == ctypes.sizeof(Tensor) + _OBJECT_BYTES
    yield "type", (known.type, Tensor.from_address(new_tensor_2d(context, F16, 8, 1)).type) == (F32, F16)
    yield "ne", tuple(known.ne) == (7, 5, 1, 1) and tuple(derived.ne) == (5, 3, 1, 1)
    yield "nb", tuple(known.nb) == (4, 28, 140, 140)
    yield "op", (known.op, derived.op) == (ops["NONE"], ops["MUL_MAT"])
    yield "op_params", Tensor.from_address(scaled).op_params[0] == int(np.float32(2).view(np.int32))
    yield "flags", (known.flags, derived.flags & FLAG_PARAM) == (FLAG_PARAM, 0)
    yield "src", (derived.src[0], derived.src[1], derived.src[2]) == (a, b, None)
    yield "view", (part.view_src, part.view_offs) == (a, 8)
    yield "data", known.data == get_data(a)
    yield "name", known.name == b"layout"
    usual = default_optimizer(None)
    expected = (0.001, 0.9, 0.999, 1e-8, 0.0)
    found = (usual.alpha, usual.beta1, usual.beta2, usual.eps, usual.wd)
    yield "optimizer", bool(np.allclose(found, expected))
    own = llama_cpp.llama_opt_params
    names = [name for name, *_ in own._fields_]
    yield "training", all(getattr(own, name).offset == getattr(OptParams, name).offset for name in names)
    half, back = np.full(4, 1.5, np.float16), np.empty(4, np.float32)
    _type_traits(F16).contents.to_float(half.ctypes.data, back.ctypes.data, 4)
    yield "type traits", bool(np.array_equal(half, back))
