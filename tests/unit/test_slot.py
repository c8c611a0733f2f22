"""What a request tells while its tokens come: which log probabilities belong to its content."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from puna.domain.chat import Tool
from puna.domain.generation import GenerationRequest, Sampling, TextDelta, TextPrompt, TokenLogprob, Usage
from puna.llama.sampler import Sampler
from puna.llama.vocabulary import Vocabulary
from puna.prompting.output_format import choose_output_format
from puna.worker.logprobs import Logprobs
from puna.worker.preparation import PreparedRequest
from puna.worker.sampling import clamp
from puna.worker.sequences import CachedSequence
from puna.worker.slot import Slot
from puna.worker.text import TextAssembler

END = 0
THINKER = choose_output_format("</think> <tool_call>")


class Pieces:
    """A vocabulary of given pieces; token 0 ends the text."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = [b"", *(piece.encode() for piece in pieces)]

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def is_end(self, token: int) -> bool:
        return token == END


class NoSampler:
    def accept(self, tokens: Sequence[int]) -> None:
        assert not tokens

    def close(self) -> None:
        pass


def tell(pieces: Sequence[str], assembler: TextAssembler) -> list[TextDelta]:
    """Return the content of a text in these pieces, each with its log probability, up to its end."""
    return run(pieces, assembler)[0]


def run(pieces: Sequence[str], assembler: TextAssembler) -> tuple[list[TextDelta], Usage]:
    vocabulary = cast("Vocabulary", Pieces(pieces))
    request = GenerationRequest(prompt=TextPrompt("x"), top_logprobs=0)
    slot = Slot(
        PreparedRequest(1, request, [1], assembler), cast("Sampler", NoSampler()), limit=1000, now_s=0.0
    )
    told: list[TextDelta] = []
    for token in [*range(1, len(pieces) + 1), END]:
        if token != END:
            slot.note_logprob(TokenLogprob(vocabulary.piece(token), -float(token)))
        events, reason = slot.push(token, vocabulary, 0.0)
        told += [
            event
            for event in slot.announce(events, is_last=reason is not None)
            if isinstance(event, TextDelta)
        ]
        if reason is not None:
            return told, slot.finish(reason, 0.0).usage
    raise AssertionError("no end")


def written(deltas: Sequence[TextDelta]) -> list[str]:
    return [token.text.decode() for delta in deltas for token in delta.logprobs]


def test_markup_around_reasoning_has_no_log_probabilities() -> None:
    pieces = ["<think>", "\n", "Hm", ".", "\n", "</think>", "\n\n", "Hel", "lo", " there"]
    deltas = tell(pieces, TextAssembler((), THINKER.new_parser("")))
    assert "".join(delta.text for delta in deltas) == "Hello there"
    assert written(deltas) == ["Hel", "lo", " there"]


def test_reasoning_that_is_empty_leaves_no_log_probabilities_either() -> None:
    deltas = tell(["<think>", "\n\n", "</think>", "\n\n", "Hi"], TextAssembler((), THINKER.new_parser("")))
    assert written(deltas) == ["Hi"]


def test_markup_at_the_end_has_none_either() -> None:
    call = ['<tool_call>{"name": "ping", "arguments": {}}', "\n", "</tool_call>"]
    deltas = tell(["Well.", *call], TextAssembler((), THINKER.new_parser("", (Tool("ping"),))))
    assert written(deltas) == ["Well."]


def test_tokens_of_reasoning_are_counted_apart() -> None:
    pieces = ["<think>", "\n", "Hm", ".", "\n", "</think>", "\n\n", "Hel", "lo"]
    _, usage = run(pieces, TextAssembler((), THINKER.new_parser("")))
    assert usage == Usage(1, 9, 0, 4)
    _, silent = run(["Hel", "lo"], TextAssembler((), THINKER.new_parser("")))
    assert silent.reasoning_tokens == 0


def test_a_stop_string_has_no_log_probabilities() -> None:
    deltas = tell(["wor", "ld", " ST", "OP", "more"], TextAssembler(("STOP",)))
    assert "".join(delta.text for delta in deltas) == "world "
    assert written(deltas) == ["wor", "ld", " ST"]


def test_a_text_that_is_a_stop_string_has_none() -> None:
    assert tell(["ST", "OP"], TextAssembler(("STOP",))) == []


def test_what_was_held_back_keeps_its_own() -> None:
    deltas = tell(["a", " S", "T", "AR", "T"], TextAssembler(("STOP",)))
    assert written(deltas) == ["a", " S", "T", "AR", "T"]
    assert "".join(written(deltas)) == "".join(delta.text for delta in deltas)


@pytest.mark.parametrize(
    ("sampling", "computable"),
    [
        (Sampling(), 5),
        (Sampling(seed=1), 4),
        (Sampling(temperature=0), 4),
        (Sampling(seed=1, temperature=0), 4),
    ],
)
def test_the_last_token_of_a_prompt_goes_alone_where_the_text_shall_come_again(
    sampling: Sampling, computable: int
) -> None:
    request = GenerationRequest(prompt=TextPrompt("x"), sampling=sampling)
    prepared = PreparedRequest(1, request, [1, 2, 3, 4, 5], TextAssembler(()))
    slot = Slot(prepared, cast("Sampler", NoSampler()), limit=1000, now_s=0.0)
    sequence = CachedSequence(0)
    slot.start(sequence, 0.0)
    assert slot.computable == computable
    sequence.tokens = [1, 2, 3, 4]
    assert (slot.computable, slot.is_prompting) == (1, False)


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-30, 5e-7])
def test_a_temperature_that_would_overflow_is_greedy(temperature: float) -> None:
    assert clamp(Sampling(temperature=temperature), n_vocab=9).temperature == 0
    assert clamp(Sampling(temperature=0.01), n_vocab=9).temperature == 0.01


def test_the_likeliest_tokens_are_told_in_their_order() -> None:
    logits = np.random.default_rng(1).permutation(np.linspace(-5, 5, 300)).astype(np.float32)
    vocabulary = cast("Vocabulary", Pieces([str(token) for token in range(1, 300)]))
    told = Logprobs(logits, vocabulary, 20).describe(5)
    order = np.argsort(logits)[::-1][:20]
    assert [token.text for token in told.top] == [vocabulary.piece(int(token)) for token in order]
