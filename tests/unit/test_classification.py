"""Labels and their probabilities, from what a model said."""

import math

import pytest
from llguidance import LLMatcher, LLTokenizer

from puna.domain.classification import (
    LabelChance,
    needs_end,
    to_chances,
    to_grammar,
    to_score,
    to_score_request,
    to_written,
    with_others,
)
from puna.domain.constraint import RegexConstraint
from puna.domain.generation import Completion, Finished, FinishReason, TokenLogprob, Usage

LABELS = ("art", "party", "a/b c.d", "été (1)", "x-y")
FINISHED = Finished(FinishReason.STOP, Usage())


def said(*tokens: tuple[str, float]) -> Completion:
    text = "".join(token for token, _ in tokens)
    logprobs = tuple(TokenLogprob(token.encode(), math.log(chance)) for token, chance in tokens)
    return Completion(text, FINISHED, logprobs=logprobs)


def accepts(grammar: str, text: str) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return all(matcher.consume_token(byte) for byte in text.encode()) and matcher.is_accepting()


@pytest.mark.parametrize("text", [*LABELS, "art, party", "party, art", "x-y, été (1), a/b c.d"])
def test_any_labels_in_any_order_may_be_written(text: str) -> None:
    assert accepts(to_grammar(LABELS), text)


@pytest.mark.parametrize(
    "text", ["art, art", "art, party, art", "par", "art, ", "", "other", "art,party", "axb c.d"]
)
def test_nothing_but_labels_may_be_written_and_none_twice(text: str) -> None:
    assert not accepts(to_grammar(LABELS), text)


def test_fifty_labels_make_a_grammar_that_is_followed() -> None:
    labels = [f"label number {number}" for number in range(50)]
    assert accepts(to_grammar(labels), ", ".join(labels[:6]))
    assert not accepts(to_grammar(labels), ", ".join([*labels[:6], labels[2]]))


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_asked_for_exactly(label: str) -> None:
    constraint = to_score_request("text", label, with_end=False).constraint
    assert isinstance(constraint, RegexConstraint)
    grammar = LLMatcher.grammar_from_regex(constraint.pattern)
    assert accepts(grammar, label)
    assert not accepts(grammar, label + "s")


def test_probabilities_are_those_of_the_whole_labels_and_sum_to_one() -> None:
    scores = [to_score("green", said(("gr", 0.5), ("een", 0.8))), to_score("red", said(("red", 0.1)))]
    best, other = to_chances(("green", "red"), scores)
    assert (best.label, other.label) == ("green", "red")
    assert best.probability == pytest.approx(0.8)
    assert best.probability + other.probability == pytest.approx(1)


def test_very_unlikely_labels_have_probabilities_too() -> None:
    first, second = to_chances(("a", "b"), [-5000.0, -5001.0])
    assert first.probability == pytest.approx(1 / (1 + math.exp(-1)))
    assert second.probability > 0


def test_a_label_that_others_begin_with_counts_with_its_end() -> None:
    assert needs_end(("go", "gold"))
    assert not needs_end(("green", "gold"))
    end = TokenLogprob(b"\n", -9.0, top=(TokenLogprob(b"ld", -0.1), TokenLogprob(b"", -3.0)))
    completion = Completion("go\n", FINISHED, logprobs=(TokenLogprob(b"go", -0.5), end))
    assert to_score("go", completion) == pytest.approx(-3.5)
    unlikely = TokenLogprob(b"\n", -9.0, top=(TokenLogprob(b"ld", -0.1), TokenLogprob(b"at", -7.0)))
    completion = Completion("go\n", FINISHED, logprobs=(TokenLogprob(b"go", -0.5), unlikely))
    assert to_score("go", completion) == pytest.approx(-7.5)


def test_each_written_label_has_the_probability_of_its_own_words() -> None:
    written = to_written(said(("gr", 0.5), ("een", 0.8), (", ", 0.9), ("r", 0.5), ("ed", 0.5)))
    assert [each.label for each in written] == ["green", "red"]
    assert [each.probability for each in written] == pytest.approx([0.4, 0.225])


def test_labels_that_were_not_written_are_told_as_they_are_alone() -> None:
    written = (LabelChance("red", 0.4),)
    alone = (LabelChance("blue", 0.6), LabelChance("red", 0.3), LabelChance("green", 0.1))
    assert [each.label for each in with_others(written, alone)] == ["blue", "red", "green"]
    assert with_others(written, alone)[1].probability == 0.4
