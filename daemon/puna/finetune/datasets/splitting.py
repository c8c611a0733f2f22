"""Which samples a model learns from, and which are held out to see what it has learnt: pure.

A sample's side follows from its content and the seed, not from its place in the file, so the same text is never on
both sides, however often and with whatever labels it comes.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from puna.domain.datasets import LabelCount, Labelled, Sample
from puna.finetune.datasets.content import text_hash

MIN_TEXTS = 10
"""Of fewer different texts none is held out: each is needed."""
MIN_TEXTS_OF_LABEL = 5
"""A label with so many different texts has one of them held out at least."""


class Part(StrEnum):
    """The two sides of a dataset."""

    TRAINING = "training"
    HELD_OUT = "held_out"


class SplitRule(Struct, frozen=True, kw_only=True):
    """How a dataset is divided. The same rule divides the same dataset in the same way."""

    share: float = 0.1
    """Of the texts of each label that are held out."""
    most: int = 500
    """Held-out texts altogether, as nearly as labels allow: to look at more takes time and tells little."""
    seed: int = 0


class Split:
    """A divided dataset. It remembers the hashes of held-out texts."""

    def __init__(self, seed: int, held_out: frozenset[int]) -> None:
        self._seed = seed
        self._held_out = held_out

    @property
    def held_out_texts(self) -> int:
        """How many different texts are held out."""
        return len(self._held_out)

    def part_of(self, sample: Sample) -> Part:
        """Return the side of a sample."""
        is_held_out = text_hash(sample, seed=self._seed) in self._held_out
        return Part.HELD_OUT if is_held_out else Part.TRAINING

    def select(self, samples: Iterable[Sample], part: Part) -> Iterator[Sample]:
        """Yield the samples of one side, in their order."""
        return (sample for sample in samples if self.part_of(sample) is part)


def plan_split(samples: Iterable[Sample], rule: SplitRule, labels: Iterable[LabelCount] = ()) -> Split:
    """Divide a dataset by one pass over it; `labels` are those of its report.

    Each label gives its share; a sample with several labels counts for the rarest of them. Memory: 8 bytes for
    each sample, and about 100 for each text that is held out.
    """
    frequencies = {each.label: each.count for each in labels}
    strata: defaultdict[str, array[int]] = defaultdict(lambda: array("Q"))
    for sample in samples:
        strata[_stratum(sample, frequencies)].append(text_hash(sample, seed=rule.seed))
    return Split(rule.seed, _choose([sorted(set(hashes)) for hashes in strata.values()], rule))


def _choose(strata: list[list[int]], rule: SplitRule) -> frozenset[int]:
    total = sum(map(len, strata))
    if total < MIN_TEXTS or rule.share <= 0 or rule.most <= 0:
        return frozenset()
    share = min(rule.share, rule.most / total)
    chosen = frozenset(value for hashes in strata for value in hashes[: _quota(len(hashes), share)])
    return chosen or frozenset([min(hashes[0] for hashes in strata)])


def _quota(texts: int, share: float) -> int:
    """Return how many texts of a label are held out; one stays for training in any case."""
    wanted = round(texts * share)
    if texts >= MIN_TEXTS_OF_LABEL:
        wanted = max(1, wanted)
    return min(wanted, texts - 1)


def _stratum(sample: Sample, frequencies: Mapping[str, int]) -> str:
    if not isinstance(sample, Labelled):
        return ""
    return min(sample.labels, key=lambda label: (frequencies.get(label, 0), label))
