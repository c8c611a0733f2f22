"""Models in several files, named `NAME-00001-of-00003.gguf` by llama.cpp's gguf-split."""

from collections.abc import Sequence

from puna.models.gguf.defect import UnusableFileError
from puna.models.header import GgufKind, ModelHeader


def check_parts(headers: Sequence[ModelHeader]) -> None:
    """Check that the headers, in order, are all parts of one model. Raises `UnusableFileError`."""
    count = len(headers)
    for index, header in enumerate(headers):
        if header.kind is not (GgufKind.PART if index else GgufKind.MODEL):
            raise UnusableFileError(
                f"is no model in parts: its part {index + 1} is of the kind {header.kind}"
            )
        if (header.split_index, header.split_count) != (index, count):
            raise UnusableFileError(
                f"is damaged: the file named part {index + 1} of {count} says that it is part"
                f" {header.split_index + 1} of {header.split_count}"
            )
    expected = headers[0].split_tensor_count
    if expected and sum(header.tensor_count for header in headers) != expected:
        raise UnusableFileError(f"is damaged: its parts do not hold {expected:,} tensors together")
