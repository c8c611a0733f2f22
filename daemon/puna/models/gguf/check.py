"""Pure rules over what a header says. Each raises `UnusableFileError`."""

import math
import re
from collections.abc import Sequence

from puna.models.gguf.defect import UnusableFileError, quote
from puna.models.gguf.tensors import REMOVED_TENSOR_TYPES, TENSOR_TYPES, TensorInfo, TensorType
from puna.models.gguf.values import Array, Metadata, ValueType

KNOWN_VERSIONS = (2, 3)
MAX_TENSORS = 100_000
MAX_PAIRS = 65_536
MIN_TENSOR_BYTES = 8 + 1 + 4 + 4 + 8
"""A tensor info: length and at least one byte of name, number of dimensions, type, offset."""
MIN_PAIR_BYTES = 8 + 1 + 4 + 1
"""A pair: length and at least one byte of key, type, value."""
MAX_KEY_BYTES = 65_535
MAX_TENSOR_NAME_BYTES = 63
"""`GGML_MAX_NAME` less its final zero."""
MAX_DIMS = 4
MAX_BLOCKS = 512
"""`LLAMA_MAX_LAYERS` in llama.cpp's llama-hparams.h."""
DEFAULT_ALIGNMENT = 32
MIN_ALIGNMENT = 8
MAX_ALIGNMENT = 1024 * 1024
ALIGNMENT_KEY = "general.alignment"

_INT64_LIMIT = 2**63
_BLOCK = re.compile(r"(?:enc\.|dec\.)?blk\.([0-9]+)\.")
_POOLING_TYPES = (-1, 0, 1, 2, 3, 4, 2**32 - 1)
"""`enum llama_pooling_type` in llama.h; -1 may be stored as the unsigned number of the same bits."""
_WORD_PIECE = "bert"
_WORD_PIECE_ENDS = {"tokenizer.ggml.bos_token_id": 101, "tokenizer.ggml.seperator_token_id": 102}
"""What llama.cpp puts around every text of such a tokenizer, under the keys as it spells them, and its defaults."""
_TOKENS_KEY = "tokenizer.ggml.tokens"
_BESIDE_TOKENS = {
    "tokenizer.ggml.scores": ValueType.FLOAT32,
    "tokenizer.ggml.token_type": ValueType.INT32,
}


def check_version(version: int) -> None:
    """Refuse versions that llama.cpp does not read, and files of the other byte order."""
    if version in KNOWN_VERSIONS:
        return
    if int.from_bytes(version.to_bytes(4, "little"), "big") in (1, *KNOWN_VERSIONS):
        raise UnusableFileError("was made for big-endian machines; get the little-endian file")
    if version == 1:
        raise UnusableFileError("has GGUF version 1, which llama.cpp no longer reads; get a newer file")
    raise UnusableFileError(f"has GGUF version {version}, but only versions 2 and 3 are known")


def check_counts(tensor_count: int, pair_count: int, remaining: int) -> None:
    """Refuse counts that cannot fit in the `remaining` bytes of the header, before any is read."""
    for what, count, most, least_bytes in (
        ("tensors", tensor_count, MAX_TENSORS, MIN_TENSOR_BYTES),
        ("metadata pairs", pair_count, MAX_PAIRS, MIN_PAIR_BYTES),
    ):
        if count > most:
            raise UnusableFileError(f"is damaged: it claims {count:,} {what}")
        if count * least_bytes > remaining:
            raise UnusableFileError(
                f"is damaged or cut short: it is too small for the {count:,} {what} it claims"
            )


def alignment_of(metadata: Metadata) -> int:
    """Return the alignment of the data section and of each tensor in it, in bytes."""
    if ALIGNMENT_KEY not in metadata:
        return DEFAULT_ALIGNMENT
    alignment = metadata.integer(ALIGNMENT_KEY)
    if alignment is None or metadata.type_of(ALIGNMENT_KEY) is not ValueType.UINT32:
        raise UnusableFileError(f"is damaged: {ALIGNMENT_KEY} is no 32-bit number")
    if not MIN_ALIGNMENT <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise UnusableFileError(
            f"is damaged: its alignment of {alignment:,} is no power of two from 8 to 1,048,576"
        )
    return alignment


def tensor_type_of(number: int, tensor_name: str) -> TensorType:
    """Return the type with this number."""
    known = TENSOR_TYPES.get(number)
    if known is not None:
        return known
    if number in REMOVED_TENSOR_TYPES:
        name = REMOVED_TENSOR_TYPES[number]
        raise UnusableFileError(
            f"uses the tensor type {name}, which llama.cpp no longer reads; get another quantisation"
        )
    raise UnusableFileError(
        f"is damaged or too new: tensor {quote(tensor_name)} has the unknown type {number}"
    )


def check_shape(tensor_name: str, dims: Sequence[int], tensor_type: TensorType) -> None:
    """Refuse empty tensors, numbers of elements or bytes beyond 63 bits, and rows of broken blocks."""
    elements = 1
    for dim in dims:
        if dim == 0:
            raise UnusableFileError(f"is damaged: tensor {quote(tensor_name)} has a dimension of 0")
        elements *= dim
    if (
        elements // tensor_type.block_size * tensor_type.block_bytes >= _INT64_LIMIT
        or elements >= _INT64_LIMIT
    ):
        raise UnusableFileError(f"is damaged: the dimensions of tensor {quote(tensor_name)} overflow")
    row = dims[0] if dims else 1
    if row % tensor_type.block_size:
        raise UnusableFileError(
            f"is damaged: tensor {quote(tensor_name)} has rows of {row:,} elements,"
            f" no multiple of the {tensor_type.block_size} in a block of {tensor_type.name}"
        )


def pad(size: int, alignment: int) -> int:
    """Return the size rounded up to the alignment."""
    return -(-size // alignment) * alignment


def check_layout(tensors: Sequence[TensorInfo], alignment: int, data_offset: int, file_size: int) -> None:
    """Check that the tensors follow each other as ggml demands, and that the file holds all of them."""
    expected = 0
    needed = data_offset
    for tensor in tensors:
        if tensor.offset != expected:
            raise UnusableFileError(_describe_misplaced(tensor, expected, alignment, file_size - data_offset))
        needed = data_offset + expected + tensor.size_bytes
        expected += pad(tensor.size_bytes, alignment)
    if tensors and needed > file_size:
        missing = needed - file_size
        raise UnusableFileError(
            f"is cut short: {missing:,} of its {needed:,} bytes are missing; download it again"
        )


def check_block_numbers(tensors: Sequence[TensorInfo]) -> None:
    """Refuse blocks that llama.cpp cannot have: who sums a file up makes a record for each up to the last."""
    for tensor in tensors:
        block = _BLOCK.match(tensor.name)
        if block and int(block[1]) >= MAX_BLOCKS:
            raise UnusableFileError(
                f"is damaged: tensor {quote(tensor.name)} is of no block from 0 to {MAX_BLOCKS - 1}"
            )


def _describe_misplaced(tensor: TensorInfo, expected: int, alignment: int, data_size: int) -> str:
    name = quote(tensor.name)
    if tensor.offset % alignment:
        return f"is damaged: the offset of tensor {name} is no multiple of the alignment {alignment}"
    if tensor.offset < expected:
        return f"is damaged: tensor {name} overlaps the one before it"
    if tensor.offset >= data_size:
        return f"is damaged or cut short: tensor {name} starts beyond the end of the file"
    return f"is damaged: there is a gap before tensor {name}"


def check_vocabulary(metadata: Metadata) -> None:
    """Check the arrays that llama.cpp reads side by side without looking at their types and lengths."""
    tokens = metadata.array(_TOKENS_KEY)
    if tokens is None or tokens.element_type is not ValueType.STRING or tokens.count == 0:
        raise UnusableFileError("has no tokenizer, so it cannot be run; get the complete model")
    for key, element_type in _BESIDE_TOKENS.items():
        if key in metadata:
            _check_beside(key, metadata.array(key), element_type, tokens.count)
    if metadata.text("tokenizer.ggml.model") == _WORD_PIECE:
        _check_word_piece_ends(metadata, tokens.count)
    merges = metadata.array("tokenizer.ggml.merges")
    if "tokenizer.ggml.merges" in metadata and (
        merges is None or merges.element_type is not ValueType.STRING
    ):
        raise UnusableFileError("is damaged: tokenizer.ggml.merges is no list of texts")


def _check_word_piece_ends(metadata: Metadata, token_count: int) -> None:
    """Refuse ends that are no tokens. For other tokenizers and ids llama.cpp does without a bad one."""
    for key, default in _WORD_PIECE_ENDS.items():
        given = metadata.integer(key)
        if given is None or not 0 <= given < token_count:
            given = default
        if given >= token_count:
            raise UnusableFileError(f"is damaged: {key} is none of its {token_count:,} tokens")


def check_hyperparameters(metadata: Metadata, architecture: str) -> None:
    """Check the figures of an architecture at which llama.cpp would end its process instead of refusing the file."""
    blocks_key = f"{architecture}.block_count"
    blocks = metadata.integer(blocks_key)
    if blocks_key in metadata and (blocks is None or not 0 < blocks <= MAX_BLOCKS):
        said = "no number" if blocks is None else f"{blocks:,}"
        raise UnusableFileError(f"is damaged: {quote(blocks_key)} is {said}, not 1 to {MAX_BLOCKS}")
    pooling_key = f"{architecture}.pooling_type"
    pooling = metadata.integer(pooling_key)
    if pooling is not None and pooling not in _POOLING_TYPES:
        raise UnusableFileError(f"is damaged or too new: {quote(pooling_key)} is {pooling:,}")
    own_keys = [key for key in metadata.keys() if key.startswith(f"{architecture}.")]  # noqa: SIM118 - no mapping
    for key in own_keys:
        number = metadata.number(key)
        if number is None:
            continue
        if not math.isfinite(number) or (number < 0 and key.endswith("epsilon")):
            raise UnusableFileError(f"is damaged: {quote(key)} is {number}")


def _check_beside(key: str, array: Array | None, element_type: ValueType, token_count: int) -> None:
    if array is None or array.element_type is not element_type:
        raise UnusableFileError(f"is damaged: {key} is no list of {element_type.name.lower()} numbers")
    if array.count < token_count:
        raise UnusableFileError(f"is damaged: {key} has {array.count:,} entries for {token_count:,} tokens")
