"""Which tensor of the merged model is stored how, and where in its file. Pure."""

import re
import struct
from collections.abc import Collection, Sequence
from math import prod

from msgspec import Struct

from puna.domain.merging import MergedType
from puna.errors import InvalidRequestError
from puna.merging.pairs import Pairs, encode_pairs
from puna.models.gguf.check import pad
from puna.models.gguf.tensors import TENSOR_TYPES, TensorInfo

_MAGIC, _VERSION = b"GGUF", 3
TYPE_NUMBERS = {tensor_type.name: number for number, tensor_type in TENSOR_TYPES.items()}
"""Of `enum ggml_type`, by name."""
FILE_TYPES = {
    MergedType.F32: 0,
    MergedType.F16: 1,
    MergedType.BF16: 32,
    MergedType.Q8_0: 7,
    MergedType.Q6_K: 18,
    MergedType.Q5_K: 16,
    MergedType.Q5_1: 9,
    MergedType.Q5_0: 8,
    MergedType.Q4_K: 14,
    MergedType.Q4_1: 3,
    MergedType.Q4_0: 2,
}
"""Of `enum llama_ftype`: the mix with the fewest tensors of another type."""
_COARSER_FITS = {MergedType.Q4_K: "Q5_0", MergedType.Q5_K: "Q5_1", MergedType.Q6_K: "Q8_0"}
"""What llama.cpp takes instead where rows are no multiple of 256 (`tensor_type_fallback` in llama-quant.cpp)."""
_WHOLE = frozenset({MergedType.F32, MergedType.F16, MergedType.BF16, MergedType.Q8_0})
"""Types that the output matrix is stored in as the others are; below them it suffers most and gets more bits."""
_KEPT = re.compile(
    r"_norm\.|ffn_gate_inp|position_embd|token_types|rope_freqs|ssm_conv1d|shortconv|time_mix_|altup|laurel"
    r"|per_layer_model_proj|attn_rel_b"
)
"""Small matrices that llama.cpp does not quantise either."""
_UNREADABLE = frozenset({"I8", "I16", "I32", "I64", "F64"})
_UNWRITABLE = frozenset({*_UNREADABLE, "Q8_1", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ1_S"})
"""The last three need an importance matrix (`ggml_quantize_requires_imatrix`)."""


class PlannedTensor(Struct, frozen=True):
    """One tensor: where it comes from and how it is stored."""

    source: TensorInfo
    part: int
    """Which of the base's files has it, from 0."""
    type_name: str
    is_changed: bool
    """Whether the adapter changes it."""
    offset: int
    """Within the data section."""

    @property
    def size_bytes(self) -> int:
        """Bytes of its data as stored, without padding."""
        stored = TENSOR_TYPES[TYPE_NUMBERS[self.type_name]]
        return self.source.element_count // stored.block_size * stored.block_bytes

    @property
    def is_copied(self) -> bool:
        """Whether its bytes are those of the base."""
        return not self.is_changed and self.type_name == self.source.type.name


def plan_tensors(
    parts: Sequence[Sequence[TensorInfo]], changed: Collection[str], wanted: MergedType | None, alignment: int
) -> list[PlannedTensor]:
    """Lay out the merged model. Raises `InvalidRequestError` where a changed tensor cannot be stored again."""
    names = {tensor.name for part in parts for tensor in part}
    output = "output.weight" if "output.weight" in names else "token_embd.weight"
    planned: list[PlannedTensor] = []
    offset = 0
    for number, part in enumerate(parts):
        for tensor in part:
            type_name = choose_type(tensor, wanted, is_output=tensor.name == output)
            is_changed = tensor.name in changed
            if is_changed and type_name in _UNWRITABLE:
                raise InvalidRequestError(
                    f"The base's type {type_name} cannot be written without an importance matrix; "
                    "choose another type, such as Q4_K.",
                    field="type",
                )
            planned.append(PlannedTensor(tensor, number, type_name, is_changed, offset))
            offset += pad(planned[-1].size_bytes, alignment)
    return planned


def choose_type(tensor: TensorInfo, wanted: MergedType | None, *, is_output: bool) -> str:
    """Return the type that a tensor is stored in; vectors and small matrices keep theirs, as in llama.cpp."""
    own = tensor.type.name
    if wanted is None or own in _UNREADABLE or prod(tensor.dims[1:]) == 1:
        return own
    if not tensor.name.endswith(".weight") or _KEPT.search(tensor.name):
        return own
    candidates = [wanted.value, _COARSER_FITS.get(wanted, "F16"), "F16"]
    if is_output and wanted not in _WHOLE:
        candidates = ["Q6_K", "Q8_0", "F16"]
    return next(name for name in candidates if not tensor.dims[0] % _block_size(name))


def _block_size(type_name: str) -> int:
    return TENSOR_TYPES[TYPE_NUMBERS[type_name]].block_size


def encode_head(pairs: Pairs, tensors: Sequence[PlannedTensor], alignment: int) -> bytes:
    """Return all of the file before its data, padded."""
    head = b"".join(
        [
            _MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(pairs)),
            encode_pairs(pairs),
            *(_encode_info(tensor) for tensor in tensors),
        ]
    )
    return head + bytes(pad(len(head), alignment) - len(head))


def _encode_info(tensor: PlannedTensor) -> bytes:
    name, dims = tensor.source.name.encode(), tensor.source.dims
    return struct.pack(
        f"<Q{len(name)}sI{len(dims)}QIQ",
        len(name),
        name,
        len(dims),
        *dims,
        TYPE_NUMBERS[tensor.type_name],
        tensor.offset,
    )


def data_size(tensors: Sequence[PlannedTensor], alignment: int) -> int:
    """Return the bytes of the data section."""
    return sum(pad(tensor.size_bytes, alignment) for tensor in tensors)
