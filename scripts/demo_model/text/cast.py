"""Who appears in the stories: kinds, names and pronouns."""

from dataclasses import dataclass
from random import Random

from demo_model.text.words import split_words

SHE = {
    "fox": "Ruby", "rabbit": "Lily", "mouse": "Mia", "hedgehog": "Hazel", "duck": "Daisy", "hen": "Rosa",
    "lamb": "Molly", "kitten": "Bella", "cat": "Luna", "frog": "Ivy", "robin": "Clara", "zebra": "Nina",
    "panda": "Poppy", "bee": "Ella", "llama": "Quilla", "butterfly": "Flora", "girl": "Anna",
    "princess": "Sofia", "baker": "Greta", "gardener": "Pearl",
}  # fmt: skip
HE = {
    "bear": "Bruno", "owl": "Oscar", "squirrel": "Pip", "badger": "Hugo", "otter": "Otto", "beaver": "Ben",
    "goat": "Gus", "pony": "Rusty", "donkey": "Paco", "puppy": "Max", "dog": "Sam", "turtle": "Theo",
    "snail": "Carlo", "penguin": "Felix", "lion": "Leo", "elephant": "Walter", "wolf": "Ivan",
    "dragon": "Diego", "boy": "Tom", "prince": "Henry",
}  # fmt: skip
"""Kinds and the name that each always has. A network of this size learns who is who, not to copy any name."""

TRAITS = split_words(
    """
    little small young brave kind shy curious cheerful gentle clever quiet happy friendly playful
    lonely tiny careful lively sleepy proud patient merry stubborn dreamy
    """
)


@dataclass(frozen=True)
class Character:
    """Somebody in a story; the pronoun fields are named after the plural that they stand for."""

    name: str
    kind: str
    trait: str
    they: str
    them: str
    their: str

    @property
    def They(self) -> str:  # noqa: N802  (a template field: the sentence-initial form)
        return self.they.capitalize()

    @property
    def Their(self) -> str:  # noqa: N802  (a template field: the sentence-initial form)
        return self.their.capitalize()

    @property
    def a_trait_kind(self) -> str:
        return with_article(f"{self.trait} {self.kind}")

    @property
    def a_kind(self) -> str:
        return with_article(self.kind)


def with_article(phrase: str) -> str:
    """Return the phrase behind "a" or "an"."""
    article = "an" if phrase[0] in "aeiou" and not phrase.startswith(("uni", "use")) else "a"
    return f"{article} {phrase}"


def draw_character(rng: Random) -> Character:
    """Return somebody."""
    return _describe(rng.choice(_KINDS), rng)


def draw_friend(rng: Random, hero: Character) -> Character:
    """Return the hero's friend, who is always the same."""
    return _describe(_KINDS[(_KINDS.index(hero.kind) + _FRIEND_STEP) % len(_KINDS)], rng)


_KINDS = tuple(kind for pair in zip(SHE, HE, strict=True) for kind in pair)
_FRIEND_STEP = 7


def _describe(kind: str, rng: Random) -> Character:
    trait = rng.choice(TRAITS)
    if kind in SHE:
        return Character(SHE[kind], kind, trait, "she", "her", "her")
    return Character(HE[kind], kind, trait, "he", "him", "his")
