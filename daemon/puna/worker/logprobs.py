"""Log probabilities of tokens."""

from collections.abc import Iterable

import numpy as np

from puna.domain.generation import TokenLogprob
from puna.llama.context import Logits
from puna.llama.vocabulary import Vocabulary

MAX_TOP_LOGPROBS = 20
"""Likely tokens that are told beside a chosen one; OpenAI's limit."""


class Logprobs:
    """The distribution over the next token, copied from logits that sampling is about to change."""

    def __init__(self, logits: Logits, vocabulary: Vocabulary, top: int) -> None:
        shifted = logits.astype(np.float64) - np.max(logits)
        self._logprobs = shifted - np.log(np.exp(shifted).sum())
        self._vocabulary = vocabulary
        self._top = min(max(top, 0), MAX_TOP_LOGPROBS)

    def describe(self, token: int) -> TokenLogprob:
        """Return the token's log probability, and the most likely ones beside it."""
        best = self._find_best() if self._top else ()
        return TokenLogprob(
            self._vocabulary.piece(token),
            float(self._logprobs[token]),
            tuple(TokenLogprob(self._vocabulary.piece(t), float(self._logprobs[t])) for t in best),
        )

    def _find_best(self) -> Iterable[int]:
        """Return the likeliest tokens, the best first; the whole vocabulary is not sorted for them."""
        count = min(self._top, self._logprobs.size)
        likely = np.argpartition(self._logprobs, -count)[-count:]
        return map(int, likely[np.argsort(self._logprobs[likely])[::-1]])
