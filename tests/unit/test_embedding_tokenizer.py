"""Texts as inputs of embedding models and rerankers, over a vocabulary of characters."""

import pytest

from puna.errors import ContextOverflowError, InvalidRequestError
from puna.llama.special_tokens import SpecialTokens
from puna.worker.embedding.tokenizer import InputTokenizer, PairTokenizer

BOS, EOS, SEP = 1, 2, 3
ROBERTA = SpecialTokens(BOS, EOS, SEP, adds_bos=True, adds_eos=True, adds_sep=True)


class Characters:
    """A token for each character; with `add_special` a beginning and an end."""

    n_tokens = 128

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokens = [ord(character) for character in text]
        return [BOS, *tokens, EOS] if add_special else tokens


def inputs(limit: int = 10) -> InputTokenizer:
    return InputTokenizer(Characters(), ROBERTA, limit=limit)


def pairs(limit: int = 20, *, special: SpecialTokens = ROBERTA, template: str | None = None) -> PairTokenizer:
    return PairTokenizer(Characters(), special, limit=limit, template=template)


def text(tokens: list[int]) -> str:
    return "".join({BOS: "[", EOS: "]", SEP: "|"}.get(token, chr(token)) for token in tokens)


def test_texts_get_what_the_model_wants_around_them_and_tokens_do_not() -> None:
    assert inputs().tokenize(["ab", (97,)], is_truncated=False) == [[BOS, 97, 98, EOS], [97]]


def test_an_input_that_is_too_long_is_named_with_both_numbers() -> None:
    with pytest.raises(
        ContextOverflowError, match="Input 2 of 2 has 12 tokens, and this model takes 10 at once"
    ):
        inputs().tokenize(["a", "b" * 10], is_truncated=False)
    with pytest.raises(ContextOverflowError, match="The input has 12 tokens"):
        inputs().tokenize(["b" * 10], is_truncated=False)


def test_a_cut_input_keeps_its_end_token() -> None:
    (cut,) = inputs(limit=5).tokenize(["abcdefgh"], is_truncated=True)
    assert text(cut) == "[abc]"


def test_cut_tokens_keep_only_an_end_token() -> None:
    (cut,) = inputs(limit=3).tokenize([(97, 98, 99, 100)], is_truncated=True)
    assert cut == [97, 98, 99]


def test_an_empty_input_is_refused_before_the_model_adds_to_it() -> None:
    with pytest.raises(InvalidRequestError, match="The input is empty"):
        inputs().tokenize([""], is_truncated=True)


def test_a_pair_has_the_tokens_of_its_vocabulary() -> None:
    assert text(pairs().tokenize("q", ["doc"], is_truncated=True)[0]) == "[q]|doc]"
    no_eos = SpecialTokens(BOS, None, SEP, adds_bos=True, adds_eos=True)
    assert text(pairs(special=no_eos).tokenize("q", ["doc"], is_truncated=True)[0]) == "[q|doc|"
    assert (
        text(pairs(special=SpecialTokens(None, None, None)).tokenize("q", ["d"], is_truncated=True)[0])
        == "qd"
    )


def test_a_template_takes_the_place_of_that() -> None:
    tokenizer = pairs(template="<{query}:{document}>")
    assert text(tokenizer.tokenize("q", ["doc"], is_truncated=True)[0]) == "<q:doc>"


def test_a_query_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    tokenizer = pairs(limit=100, template="<{query}:{document}>")
    assert text(tokenizer.tokenize("{document}", ["{query}"], is_truncated=True)[0]) == "<{document}:{query}>"


def test_a_document_is_cut_and_what_stands_around_it_is_not() -> None:
    assert text(pairs(limit=8).tokenize("q", ["document"], is_truncated=True)[0]) == "[q]|doc]"
    tokenizer = pairs(limit=8, template="<{query}:{document}>")
    assert text(tokenizer.tokenize("q", ["document"], is_truncated=True)[0]) == "<q:docu>"


def test_a_document_that_may_not_be_cut_is_named() -> None:
    with pytest.raises(
        ContextOverflowError, match=r"Document 2 has 13 tokens with its query, .* takes 8 at once"
    ):
        pairs(limit=8).tokenize("q", ["d", "document"], is_truncated=False)


def test_a_query_that_leaves_no_room_for_a_document_is_refused() -> None:
    with pytest.raises(
        ContextOverflowError, match="The query takes 9 tokens, and this model takes 8 at once"
    ):
        pairs(limit=8).tokenize("query", ["document"], is_truncated=True)
