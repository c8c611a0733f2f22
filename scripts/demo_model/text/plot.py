"""The shape of a story."""

from dataclasses import dataclass
from random import Random

Step = tuple[str, ...]
Word = str | tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """Steps to write one after the other, and the words (or tuples of words) that fill their slots."""

    name: str
    slots: dict[str, tuple[Word, ...]]
    steps: tuple[Step, ...]

    def draw_words(self, rng: Random) -> dict[str, Word]:
        return {slot: rng.choice(choices) for slot, choices in self.slots.items()}
