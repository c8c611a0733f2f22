"""Samples that are there already, found by the hashes of their content."""

from puna.domain.datasets import FindingCode, Sample
from puna.finetune.datasets.content import answer_hash, text_hash

MAX_REMEMBERED = 200_000
"""Samples that are compared with: about 100 bytes each."""


class Duplicates:
    """Remembers the first so many samples."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._answers: dict[int, int] = {}

    def check(self, sample: Sample) -> FindingCode | None:
        """Return how a sample relates to those before; None where it is new.

        A text that came with several other labels is compared with the first of them.
        """
        text, answer = text_hash(sample), answer_hash(sample)
        known = self._answers.get(text)
        if known is not None:
            return FindingCode.DUPLICATE_ROWS if known == answer else FindingCode.CONTRADICTING_ROWS
        if len(self._answers) >= self._most:
            return FindingCode.DUPLICATES_UNCHECKED
        self._answers[text] = answer
        return None
