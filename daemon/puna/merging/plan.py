"""What a merge will write, before its first byte."""

from pathlib import Path

from msgspec import Struct

from puna.domain.merging import MergeOrder
from puna.merging.blueprint import FILE_TYPES, PlannedTensor, data_size, encode_head, plan_tensors
from puna.merging.lora import Lora, check_fit, read_lora
from puna.merging.pairs import edit_pairs, read_pairs
from puna.models.gguf.reader import GgufHeader, read_header
from puna.models.gguf.tensors import FILE_TYPES as FILE_TYPE_NAMES


class Plan(Struct, frozen=True):
    """The files to read, and the layout of the one to write."""

    headers: list[GgufHeader]
    lora: Lora
    tensors: list[PlannedTensor]
    head: bytes
    size_bytes: int
    quantisation: str


def make_plan(order: MergeOrder) -> Plan:
    """Return what will be written. Raises `InvalidRequestError`, `ModelLoadError`."""
    headers = [read_header(Path(part)) for part in order.parts]
    lora = read_lora(Path(order.adapter))
    check_fit(lora, {tensor.name: tensor for header in headers for tensor in header.tensors})
    first = headers[0]
    tensors = plan_tensors([header.tensors for header in headers], lora.keys(), order.type, first.alignment)
    file_type = None if order.type is None else FILE_TYPES[order.type]
    pairs = edit_pairs(
        read_pairs(Path(order.parts[0])),
        name=f"{first.metadata.text('general.name') or Path(order.parts[0]).stem} + {order.name}",
        file_type=file_type,
        is_quantised=any(tensor.type_name.startswith("Q") for tensor in tensors),
        texts=order.metadata,
    )
    head = encode_head(pairs, tensors, first.alignment)
    stored_type = first.metadata.integer("general.file_type") if file_type is None else file_type
    return Plan(
        headers=headers,
        lora=lora,
        tensors=tensors,
        head=head,
        size_bytes=len(head) + data_size(tensors, first.alignment),
        quantisation="" if stored_type is None else FILE_TYPE_NAMES.get(stored_type, ""),
    )
