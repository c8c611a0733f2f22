"""What a GGUF file is and how large, as the catalogue and the residency estimate need it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from puna.domain.models import ModelKind
from puna.errors import ModelLoadError
from puna.models.abilities import can_infill, embedding_length_of, model_kind_of
from puna.models.gguf.check import check_hyperparameters, check_vocabulary
from puna.models.gguf.defect import UnusableFileError, file_label
from puna.models.gguf.reader import GgufHeader, read_header
from puna.models.gguf.tensors import FILE_TYPES, TensorInfo
from puna.models.gguf.values import Metadata

MAX_NAME_CHARACTERS = 200


class GgufKind(StrEnum):
    """What the file is for."""

    MODEL = "model"
    PART = "part"
    """A later part of a model that was split into several files."""
    ADAPTER = "adapter"
    PROJECTOR = "projector"
    """The image or audio side of a multimodal model (`mmproj`)."""
    IMATRIX = "imatrix"
    VOCABULARY = "vocabulary"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHeader:
    """The facts of one file, without its tensor list. 0 and empty texts stand for what it does not say."""

    kind: GgufKind
    model_kind: ModelKind
    """What it is for, where it is a model."""
    architecture: str
    name: str
    description: str
    licence: str
    parameter_count: int
    """Elements of all tensors in this file."""
    size_bytes: int
    context_length: int
    """Tokens that the model was trained for."""
    quantisation: str
    """Such as `Q4_K_M`; the type of most weights where the file does not name its mix."""
    block_count: int
    embedding_length: int
    projection_length: int
    """Components of the vectors that a projector hands to its model."""
    head_count: int
    head_count_kv: int
    token_count: int
    tokenizer: str
    """Kind of tokenizer: `gpt2` (byte-level BPE), `llama` (SentencePiece), ..."""
    chat_template: str | None
    """The default Jinja template; None where there is none, or it exceeds the reader's limit for texts."""
    chat_template_names: tuple[str, ...]
    """Further templates, such as `tool_use`."""
    can_infill: bool
    """Whether it names the tokens for a gap in the text."""
    split_index: int
    """Which part of a split model this is, from 0."""
    split_count: int
    """Parts of the model; 1 where it is not split."""
    split_tensor_count: int
    tensor_count: int


def read_model_header(path: Path) -> ModelHeader:
    """Return the facts of a GGUF file of any kind; a model's vocabulary is checked too. Blocks on the disk.

    Raises `ModelLoadError` with one sentence that carries the file's name, never its folder.
    """
    header = read_header(path)
    try:
        return summarise(header)
    except UnusableFileError as defect:
        raise ModelLoadError(f"{file_label(path)} {defect}.") from None


def summarise(header: GgufHeader) -> ModelHeader:
    """Return the facts of a header. Raises `UnusableFileError` when keys are missing that its kind needs."""
    metadata = header.metadata
    kind = _kind_of(metadata, len(header.tensors))
    architecture = metadata.text("general.architecture") or ""
    if kind is GgufKind.MODEL:
        if not architecture:
            raise UnusableFileError(
                "does not say its architecture, so it cannot be run; get the complete model"
            )
        check_vocabulary(metadata)
        check_hyperparameters(metadata, architecture)
    tokens = metadata.array("tokenizer.ggml.tokens")
    names = metadata.array("tokenizer.chat_templates")
    return ModelHeader(
        kind=kind,
        model_kind=model_kind_of(metadata),
        architecture=_one_line(architecture),
        name=_one_line(metadata.text("general.name") or ""),
        description=_one_line(metadata.text("general.description") or ""),
        licence=_one_line(metadata.text("general.license") or ""),
        parameter_count=sum(tensor.element_count for tensor in header.tensors),
        size_bytes=header.file_size,
        context_length=metadata.integer(f"{architecture}.context_length") or 0,
        quantisation=_quantisation_of(metadata, header.tensors),
        block_count=metadata.integer(f"{architecture}.block_count") or 0,
        embedding_length=embedding_length_of(metadata),
        projection_length=_projection_length_of(metadata),
        head_count=metadata.largest(f"{architecture}.attention.head_count") or 0,
        head_count_kv=metadata.largest(f"{architecture}.attention.head_count_kv") or 0,
        token_count=tokens.count if tokens else 0,
        tokenizer=_one_line(metadata.text("tokenizer.ggml.model") or ""),
        chat_template=metadata.text("tokenizer.chat_template"),
        chat_template_names=tuple(
            name for name in (names.items if names else None) or () if isinstance(name, str)
        ),
        can_infill=can_infill(metadata),
        split_index=metadata.integer("split.no") or 0,
        split_count=max(1, metadata.integer("split.count") or 0),
        split_tensor_count=metadata.integer("split.tensors.count") or 0,
        tensor_count=len(header.tensors),
    )


def _kind_of(metadata: Metadata, tensor_count: int) -> GgufKind:
    general_type = metadata.text("general.type")
    if general_type == "adapter" or "adapter.type" in metadata:
        return GgufKind.ADAPTER
    if general_type == "mmproj" or metadata.text("general.architecture") == "clip":
        return GgufKind.PROJECTOR
    if general_type == "imatrix":
        return GgufKind.IMATRIX
    if metadata.integer("split.no"):
        return GgufKind.PART
    if (
        tensor_count == 0
        and "tokenizer.ggml.tokens" in metadata
        and (metadata.integer("split.count") or 0) < 2
    ):
        return GgufKind.VOCABULARY
    return GgufKind.MODEL


def _projection_length_of(metadata: Metadata) -> int:
    names = ("clip.vision.projection_dim", "clip.audio.projection_dim", "clip.projection_dim")
    return next((size for name in names if (size := metadata.integer(name))), 0)


def _quantisation_of(metadata: Metadata, tensors: Sequence[TensorInfo]) -> str:
    named = FILE_TYPES.get(metadata.integer("general.file_type") or 0)
    if named is not None and "general.file_type" in metadata:
        return named
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[tensor.type.name] += tensor.element_count
    return sizes.most_common(1)[0][0] if sizes else ""


def _one_line(text: str) -> str:
    """Return text from a file as one printable line of bounded length."""
    line = " ".join(text[: 4 * MAX_NAME_CHARACTERS].split())
    return "".join(character for character in line if character.isprintable())[:MAX_NAME_CHARACTERS]
