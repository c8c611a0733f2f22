"""Rows of tokens to train on: whole documents one after the other, the last one cut at the end of the row."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from demo_model.markup import END_OF_TEXT
from demo_model.text.corpus import Corpus
from demo_model.tokenizer import Tokenizer

DOCUMENTS_AT_ONCE = 512


@dataclass(frozen=True)
class Batch:
    """Inputs and targets, each (row, position), and the mask that keeps documents apart."""

    inputs: Tensor
    targets: Tensor
    document_mask: Tensor


class Rows:
    """Draws batches from a corpus; every row starts as a prompt does, with the token that begins a text."""

    def __init__(
        self, corpus: Corpus, tokenizer: Tokenizer, *, without: frozenset[str] = frozenset()
    ) -> None:
        self._documents = (document for document in corpus if document not in without)
        self._tokenizer = tokenizer
        self._end = tokenizer.find(END_OF_TEXT)
        self._encoded = self._encode()

    def draw_batch(self, count: int, length: int) -> Batch:
        """Return ``count`` rows of ``length`` positions."""
        rows = torch.tensor([self._draw_row(length + 1) for _ in range(count)])
        inputs = rows[:, :-1]
        return Batch(inputs, rows[:, 1:], self._build_document_mask(inputs))

    def _build_document_mask(self, inputs: Tensor) -> Tensor:
        """Let each position see those before it in its own document; an end of text begins the next one."""
        documents = (inputs == self._end).cumsum(-1)
        is_same = documents.unsqueeze(-1) == documents.unsqueeze(-2)
        return is_same.tril().unsqueeze(1)

    def _draw_row(self, length: int) -> list[int]:
        row = [self._end]
        while len(row) < length:
            row += next(self._encoded)
        return row[:length]

    def _encode(self) -> Iterator[list[int]]:
        while True:
            texts = list(islice(self._documents, DOCUMENTS_AT_ONCE))
            for numbers in self._tokenizer.encode_all(texts):
                yield [*numbers, self._end]
