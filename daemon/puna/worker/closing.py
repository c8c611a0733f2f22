"""How JSON comes to an end before its tokens do: near the limit, only what closes it may come next."""

import numpy as np

from puna.llama.vocabulary import Vocabulary

Tokens = np.ndarray[tuple[int], np.dtype[np.bool_]]
"""One entry for each token of the vocabulary."""

_CHARACTERS_PER_TOKEN = 4
_SPARE_TOKENS = 16


def reserve_tokens(schema: str) -> int:
    """Return how many tokens before its limit a text must begin to close.

    What is left of an object is at most its keys, which are in the schema, and a few tokens for each value.
    """
    return len(schema) // _CHARACTERS_PER_TOKEN + _SPARE_TOKENS


class ClosingTokens:
    """The tokens of a vocabulary by what they close, judged by their first byte."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        first = [vocabulary.piece(token)[:1] for token in range(vocabulary.n_tokens)]
        self._quotes = np.array([byte == b'"' for byte in first])
        self._brackets = np.array([byte in (b"}", b"]") for byte in first])
        self._commas = np.array([byte == b"," for byte in first])

    def narrow(self, allowed: Tokens) -> Tokens:
        """Return those of the allowed tokens that lead to the end by the shortest way.

        A comma and a quote are possible together only inside of a string, where brackets are mere characters.
        """
        quotes: Tokens = allowed & self._quotes
        commas: Tokens = allowed & self._commas
        brackets: Tokens = allowed & self._brackets
        if quotes.any() and commas.any():
            return quotes
        if brackets.any():
            return brackets
        return commas if commas.any() else allowed
