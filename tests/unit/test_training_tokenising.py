"""Samples to tokens, part by part."""

from typing import cast

import pytest

from puna.domain.training import TextPart, TextSample, TokenSample
from puna.errors import InvalidRequestError
from puna.llama.vocabulary import Vocabulary
from puna.trainer.tokenising import tokenise

_SPACE, _CONTROL = 32, 900


class Letters:
    """A vocabulary of letters that puts a space in front of each text; `<end>` is a control token."""

    n_tokens = 1000
    opening = (1,)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        assert not add_special
        if parse_special and text == "<end>":
            return [_CONTROL]
        return [_SPACE, *text.encode()] if text else []


VOCABULARY = cast("Vocabulary", Letters())


def letters(text: str) -> list[int]:
    return list(text.encode())


def test_parts_of_one_text_have_no_space_between_them() -> None:
    sample = TextSample((TextPart("ab"), TextPart("cd", is_answer=True)), is_ended=False)
    assert tokenise(sample, VOCABULARY) == TokenSample([1, _SPACE, *letters("abcd")], ((4, 6),))


def test_control_tokens_are_read_only_where_they_are_meant() -> None:
    parts = (TextPart("<end>", has_control=True), TextPart("<end>"))
    found = tokenise(TextSample(parts, is_opened=False, is_ended=False), VOCABULARY)
    assert found.tokens == [_CONTROL, _SPACE, *letters("<end>")]


def test_several_answers_are_told_apart() -> None:
    parts = (TextPart("a"), TextPart("b", is_answer=True), TextPart("c"), TextPart("d", is_answer=True))
    found = tokenise(TextSample(parts, is_opened=False, is_ended=False), VOCABULARY)
    assert [found.tokens[first:end] for first, end in found.answers] == [letters("b"), letters("d")]


def test_tokens_are_taken_as_they_are_and_must_be_of_the_vocabulary() -> None:
    sample = TokenSample([1, 999], ((1, 2),))
    assert tokenise(sample, VOCABULARY) is sample
    for token in (-1, 1000):
        with pytest.raises(InvalidRequestError, match="1,000 tokens"):
            tokenise(TokenSample([token], ()), VOCABULARY)
