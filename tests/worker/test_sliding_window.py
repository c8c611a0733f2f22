"""Models with a sliding window, whose cache gives up cells: what is reused of it must still be there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fakes.tiny_models import write_sliding_window_model
from puna.llama import library
from puna.llama.batch import Batch
from puna.llama.context import Context, DecodeResult, Logits
from puna.llama.model import Model
from puna.worker.sequences import SequencePool

WINDOW, CELLS = 16, 256


class Bench:
    """A model with a cache of few cells, and prompts that run on it one after another."""

    def __init__(self, model: Model) -> None:
        self._n_vocab = model.vocabulary.n_tokens
        self.context = Context(model, n_ctx=CELLS, n_batch=CELLS, n_seq_max=6, n_threads=1)
        self.pool = SequencePool(self.context, 6, can_trim=model.can_trim, window=model.window)
        self._batch = Batch(CELLS)

    def run(self, prompt: list[int]) -> tuple[int, Logits]:
        """Return how much of a prompt was there already, and the logits behind it."""
        placement = self.pool.place(prompt)
        assert placement is not None
        sequence = self.pool.take(placement, prompt)
        while (result := self._decode(prompt, sequence.id, placement.length)) is DecodeResult.NO_CELLS:
            assert self.pool.evict()
        assert result is DecodeResult.OK
        sequence.tokens = list(prompt)
        self.pool.release(sequence)
        return placement.length, self.context.logits(len(self._batch) - 1, self._n_vocab).copy()

    def close(self) -> None:
        self._batch.close()
        self.context.close()

    def _decode(self, prompt: list[int], sequence: int, first: int) -> DecodeResult:
        self._batch.clear()
        for position in range(first, len(prompt)):
            wants_logits = position == len(prompt) - 1
            self._batch.add(prompt[position], position, sequence, wants_logits=wants_logits)
        result = self.context.decode(self._batch)
        self.context.synchronize()
        return result


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    library.start()
    model = Model(write_sliding_window_model(tmp_path / "window.gguf", window=WINDOW))
    yield model
    model.close()


@pytest.fixture
def bench(model: Model) -> Iterator[Bench]:
    bench = Bench(model)
    yield bench
    bench.close()


def test_a_prefix_is_not_used_where_cells_of_its_window_are_gone(model: Model, bench: Bench) -> None:
    rng = np.random.default_rng(5)
    early, kept, late, short, middle = (rng.integers(3, 259, n).tolist() for n in (50, 100, 100, 20, 60))
    assert model.window == WINDOW
    bench.run(early)
    bench.run(kept)
    bench.run(late)
    bench.run(short)  # takes the cells of the first one
    bench.run([*kept, 7])  # is used again, so that the next one takes the cells of the third
    bench.run(middle)
    branch = [*kept[:35], *rng.integers(3, 259, 6).tolist()]
    _, got = bench.run(branch)
    fresh = Bench(model)
    _, wanted = fresh.run(branch)
    fresh.close()
    assert np.abs(got - wanted).max() < 0.02


def test_what_is_whole_is_used(bench: Bench) -> None:
    prompt = np.random.default_rng(6).integers(3, 259, 100).tolist()
    bench.run(prompt)
    assert bench.run([*prompt, 9])[0] == 100
    assert bench.run([*prompt[:50], 8])[0] == 50
