"""Names of the files of a model in parts, `NAME-00001-of-00003.gguf`, as llama.cpp's gguf-split writes them."""

import re
from dataclasses import dataclass

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
