"""What the generators hand out: documents, exchanges (question and answer), and what is held out."""

import hashlib
from dataclasses import dataclass
from random import Random

HELD_OUT_ONE_IN = 32


def is_held_out(slots: str) -> bool:
    """Whether a slot combination is kept away from training; it depends on nothing but the slots."""
    digest = hashlib.sha256(slots.encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


@dataclass(frozen=True)
class Document:
    """A text, and the slot combination that it was made from."""

    text: str
    slots: str


@dataclass(frozen=True)
class Exchange:
    """A question, its answer, what to say to "Tell me more" (empty: nothing), and the slot combination."""

    question: str
    answer: str
    slots: str
    more: str = ""


@dataclass(frozen=True)
class Topic:
    """Questions that mean the same, with answers that fit each of them."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]
    more: tuple[str, ...] = ()

    def draw(self, rng: Random) -> Exchange:
        more = rng.choice(self.more) if self.more else ""
        return pair(rng.choice(self.questions), rng.choice(self.answers), more)


def pair(question: str, answer: str, more: str = "") -> Exchange:
    """Return an exchange whose slot combination is the pair itself."""
    return Exchange(question, answer, f"{question} -> {answer}", more)
