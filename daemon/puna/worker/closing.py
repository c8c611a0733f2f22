"""How JSON comes to an end before its tokens do: near the limit, only what closes it may come next."""

import json
import re

import numpy as np

from puna.llama.vocabulary import Vocabulary
from puna.prompting.tools.schemas import JsonObject, choices_of, properties_of

Tokens = np.ndarray[tuple[int], np.dtype[np.bool_]]
"""One entry for each token of the vocabulary."""

_CHARACTERS_PER_TOKEN = 2
"""Of names, which many vocabularies know no words for."""
_TOKENS_PER_VALUE = 4
"""Quotes, colon and comma around the shortest value."""
_SPARE_TOKENS = 16
_CLOSING_QUOTE = re.compile(rb'"[]}]*')
"""A token such as `", "` ends one string of a list and begins the next; this one ends it for good."""
_IN_WORDS = frozenset({"title", "description", "examples", "default", "$comment"})
"""Keywords that say nothing about the text."""


def reserve_tokens(schema: JsonObject) -> int:
    """Return how many tokens before its limit a text must begin to close.

    What is left of an object is at most its keys, a few tokens for each value, and the words that are prescribed.
    """
    return _count_tokens(schema) + _SPARE_TOKENS


def _count_tokens(schema: object) -> int:
    if not isinstance(schema, dict):
        return sum(map(_count_tokens, schema)) if isinstance(schema, list) else 0
    words = max((len(json.dumps(choice)) for choice in choices_of(schema) or ()), default=0)
    names = properties_of(schema)
    own = sum(len(name) for name in names) // _CHARACTERS_PER_TOKEN + _TOKENS_PER_VALUE * len(names)
    nested = [
        value for key, value in schema.items() if key not in _IN_WORDS | {"properties", "enum", "const"}
    ]
    return words // _CHARACTERS_PER_TOKEN + own + sum(map(_count_tokens, [*names.values(), *nested]))


class ClosingTokens:
    """The tokens of a vocabulary by what they close."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        pieces = [vocabulary.piece(token) for token in range(vocabulary.n_tokens)]
        self._quotes = np.array([piece.startswith(b'"') for piece in pieces])
        self._closing_quotes = np.array([_CLOSING_QUOTE.fullmatch(piece) is not None for piece in pieces])
        self._brackets = np.array([piece.startswith((b"}", b"]")) for piece in pieces])
        self._commas = np.array([piece.startswith(b",") for piece in pieces])

    def narrow(self, allowed: Tokens) -> Tokens:
        """Return those of the allowed tokens that lead to the end by the shortest way.

        A comma and a quote are possible together only inside of a string, where brackets are mere characters.
        """
        quotes: Tokens = allowed & self._quotes
        closing_quotes: Tokens = allowed & self._closing_quotes
        commas: Tokens = allowed & self._commas
        brackets: Tokens = allowed & self._brackets
        if quotes.any() and commas.any():
            return closing_quotes if closing_quotes.any() else quotes
        if brackets.any():
            return brackets
        return commas if commas.any() else allowed
