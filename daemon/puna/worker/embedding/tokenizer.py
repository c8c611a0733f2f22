"""Texts as the inputs of an embedding model or a reranker: tokens that fit it."""

import re
from collections.abc import Sequence
from typing import Protocol

from puna.domain.embedding import EmbeddingInput
from puna.errors import ContextOverflowError, InvalidRequestError
from puna.llama.special_tokens import SpecialTokens

_PLACEHOLDER = re.compile(r"(\{query\}|\{document\})")


class Tokenizer(Protocol):
    """What a vocabulary does with text; `puna.llama.vocabulary.Vocabulary` is one."""

    @property
    def n_tokens(self) -> int: ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...


class InputTokenizer:
    """Makes inputs of texts and tokens. Usable beside the thread that decodes: the vocabulary is read-only."""

    def __init__(self, vocabulary: Tokenizer, special: SpecialTokens, *, limit: int) -> None:
        """`limit` is the longest input in tokens."""
        self._vocabulary = vocabulary
        self._special = special
        self._limit = limit

    def tokenize(self, inputs: Sequence[EmbeddingInput], *, is_truncated: bool) -> list[list[int]]:
        """Return the tokens of each input. Raises `InvalidRequestError` or `ContextOverflowError`, which name it."""
        names = [f"Input {number} of {len(inputs)}" for number in range(1, len(inputs) + 1)]
        if len(inputs) == 1:
            names = ["The input"]
        return [
            self._fit(self.read(each, name), name, is_truncated)
            for each, name in zip(inputs, names, strict=True)
        ]

    def read(self, value: EmbeddingInput, name: str = "The input") -> list[int]:
        """Return the tokens of one input, however many. Raises `InvalidRequestError`."""
        if not value:
            raise InvalidRequestError(f"{name} is empty; give at least one character.", field="input")
        if isinstance(value, str):
            tokens = self._vocabulary.tokenize(value, add_special=True, parse_special=True)
            if not tokens:
                raise InvalidRequestError(f"{name} has no tokens; give some text.", field="input")
            return tokens
        size = self._vocabulary.n_tokens
        wrong = next((token for token in value if not 0 <= token < size), None)
        if wrong is not None:
            raise InvalidRequestError(
                f"{name} has the token {wrong}, but this model's vocabulary has the tokens 0 to {size - 1}; "
                "send text, or tokens of this model.",
                field="input",
            )
        return list(value)

    def _fit(self, tokens: list[int], name: str, is_truncated: bool) -> list[int]:
        if len(tokens) <= self._limit:
            return tokens
        if not is_truncated:
            raise ContextOverflowError(
                f"{name} has {len(tokens)} tokens, and this model takes {self._limit} at once; shorten it."
            )
        return self._cut(tokens)

    def _cut(self, tokens: list[int]) -> list[int]:
        """Cut at the end, but for the token that closes the text: models were trained to see it."""
        if tokens[-1] in {self._special.eos, self._special.sep} - {None} and self._limit > 1:
            return [*tokens[: self._limit - 1], tokens[-1]]
        return tokens[: self._limit]


class PairTokenizer:
    """Makes one input of a query and a document, as llama.cpp's server does."""

    def __init__(
        self, vocabulary: Tokenizer, special: SpecialTokens, *, limit: int, template: str | None
    ) -> None:
        """`template` is the model's own text with `{query}` and `{document}` in it, where it has one."""
        self._vocabulary = vocabulary
        self._special = special
        self._limit = limit
        self._template = template

    def tokenize(self, query: str, documents: Sequence[str], *, is_truncated: bool) -> list[list[int]]:
        """Return the tokens of each pair. Raises `InvalidRequestError` or `ContextOverflowError`."""
        if not query:
            raise InvalidRequestError("The query is empty; give at least one character.", field="query")
        head, tail = self._frame(query)
        return [
            self._join(query, head, document, tail, number, is_truncated)
            for number, document in enumerate(documents, 1)
        ]

    def _join(
        self, query: str, head: list[int], document: str, tail: list[int], number: int, is_truncated: bool
    ) -> list[int]:
        tokens = self._read_pair(query, head, document, tail)
        if len(tokens) <= self._limit:
            return tokens
        room = self._limit - len(head) - len(tail)
        if room < 1:
            raise ContextOverflowError(
                f"The query takes {len(head) + len(tail)} tokens, and this model takes {self._limit} at once, "
                "document included; shorten the query."
            )
        if not is_truncated:
            raise ContextOverflowError(
                f"Document {number} has {len(tokens)} tokens with its query, and this model takes {self._limit} "
                "at once; shorten it."
            )
        return [*head, *self._read(document)[:room], *tail]

    def _read_pair(self, query: str, head: list[int], document: str, tail: list[int]) -> list[int]:
        """The text of a template is one piece: tokens may reach across the borders of its parts."""
        if self._template is None:
            return [*head, *self._read(document), *tail]
        return self._read(_fill(self._template, query, document), is_template=True)

    def _frame(self, query: str) -> tuple[list[int], list[int]]:
        """Return what stands before and behind a document."""
        if self._template is not None:
            before, _, behind = self._template.partition("{document}")
            return (
                self._read(_fill(before, query, ""), is_template=True),
                self._read(_fill(behind, query, ""), is_template=True),
            )
        special = self._special
        eos = special.sep if special.eos is None else special.eos
        end = _known(eos, special.adds_eos)
        head = [*_known(special.bos, special.adds_bos), *self._read(query), *end]
        return [*head, *_known(special.sep, special.adds_sep)], end

    def _read(self, text: str, *, is_template: bool = False) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=False, parse_special=is_template)


def _fill(template: str, query: str, document: str) -> str:
    """Put both in their places; a query that speaks of `{document}` is left alone."""
    values = {"{query}": query, "{document}": document}
    return "".join(values.get(part, part) for part in _PLACEHOLDER.split(template))


def _known(token: int | None, is_wanted: bool) -> list[int]:
    return [token] if is_wanted and token is not None else []
