"""The samples of a training, as rows."""

from collections.abc import Sequence

from msgspec import Struct

from puna.domain.training import Choice, Sample, TokenSample, TrainingSettings
from puna.errors import InvalidRequestError
from puna.llama.training.row import Row
from puna.llama.vocabulary import Vocabulary
from puna.trainer.inbox import Job
from puna.trainer.packing import Packing, count_positions, pack
from puna.trainer.rows import build_row
from puna.trainer.tokenising import tokenise

_POINTER_BYTES = 8


class PackedSamples:
    """Samples with their places in rows. Rows are built when they are asked for: as arrays they are large."""

    def __init__(self, samples: Sequence[TokenSample], packing: Packing) -> None:
        self.samples = samples
        self.packing = packing

    def __len__(self) -> int:
        return len(self.packing.rows)

    def build(self, row: int) -> Row:
        """Return a row as arrays."""
        return build_row([self.samples[i] for i in self.packing.rows[row]], self.packing.row_length)

    @property
    def size_bytes(self) -> int:
        """Return the memory that the tokens take, about."""
        return _POINTER_BYTES * sum(len(sample.tokens) for sample in self.samples)

    @property
    def included(self) -> list[TokenSample]:
        """The samples that are in a row."""
        return [self.samples[i] for row in self.packing.rows for i in row]


class Material(Struct, frozen=True):
    """All that is trained on and measured with."""

    training: PackedSamples
    held_out: PackedSamples
    options: PackedSamples
    """Those of all choices, one after another."""
    choices: tuple[tuple[int, int, int], ...]
    """Of each choice the first of its options, the one behind its last, and the right one, as numbers of options."""


def prepare_material(job: Job, vocabulary: Vocabulary, *, trained: int) -> Material:
    """Turn the samples into tokens and lay them out; the job's texts are let go.

    Raises `InvalidRequestError` when nothing is left to train on.
    """
    settings = job.configure.settings
    samples = _take_tokens(job.samples, vocabulary)
    packing = pack(samples, wanted=settings.row_length, trained=trained, seed=settings.seed)
    if not packing.rows:
        raise InvalidRequestError(_describe_emptiness(samples, packing))
    others = _take_tokens(job.held_out, vocabulary), _take_tokens(_flatten(job.choices), vocabulary)
    held_out, options = (_pack_beside(tokens, packing.row_length, settings) for tokens in others)
    return Material(
        PackedSamples(samples, packing), held_out, options, _number_choices(job.choices, options.packing)
    )


def _take_tokens(samples: list[Sample], vocabulary: Vocabulary) -> list[TokenSample]:
    """Empty the list. Equal tokens are one object: 50 MB of text have 20 million tokens, of 28 bytes each otherwise."""
    shared = list(range(vocabulary.n_tokens))
    taken = []
    for sample in samples:
        tokens = tokenise(sample, vocabulary)
        taken.append(TokenSample([shared[token] for token in tokens.tokens], tokens.answers))
    samples.clear()
    return taken


def _flatten(choices: Sequence[Choice]) -> list[Sample]:
    return [option for choice in choices for option in choice.options]


def _pack_beside(samples: list[TokenSample], row_length: int, settings: TrainingSettings) -> PackedSamples:
    return PackedSamples(samples, pack(samples, wanted=row_length, trained=row_length, seed=settings.seed))


def _number_choices(choices: Sequence[Choice], packing: Packing) -> tuple[tuple[int, int, int], ...]:
    """Return the choices of which all options fit a row."""
    missing = {*packing.too_long, *packing.without_answer}
    numbered, first = [], 0
    for choice in choices:
        end = first + len(choice.options)
        if missing.isdisjoint(range(first, end)):
            numbered.append((first, end, first + choice.right))
        first = end
    return tuple(numbered)


def _describe_emptiness(samples: Sequence[TokenSample], packing: Packing) -> str:
    if packing.too_long:
        shortest = min(count_positions(samples[i]) for i in packing.too_long)
        return (
            f"No sample fits a row of {packing.row_length} tokens; the shortest needs {shortest}: "
            "set a longer row_length, or shorten the samples."
        )
    return "There is nothing to train on; give samples with an answer to learn."
