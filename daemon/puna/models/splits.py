"""Models in several files, named `NAME-00001-of-00003.gguf` by llama.cpp's gguf-split."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from puna.models.gguf.defect import UnusableFileError
from puna.models.header import GgufKind, ModelHeader

MAX_PARTS = 1_000
_PART_NAME = re.compile(
    r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.gguf)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PartName:
    """The name of one part; numbers start at 1."""

    stem: str
    number: int
    count: int
    suffix: str

    def sibling(self, number: int) -> str:
        """Return the file name of another part."""
        return f"{self.stem}-{number:05d}-of-{self.count:05d}{self.suffix}"

    def siblings(self) -> list[str]:
        """Return the file names of all parts in order."""
        return [self.sibling(number) for number in range(1, self.count + 1)]


def parse_part_name(file_name: str) -> PartName | None:
    """Return the parts of a part's name; None for any other name."""
    match = _PART_NAME.fullmatch(file_name)
    if match is None:
        return None
    part = PartName(match["stem"], int(match["number"]), int(match["count"]), match["suffix"])
    return part if 1 <= part.number <= part.count <= MAX_PARTS else None


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
