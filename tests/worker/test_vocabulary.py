"""Texts to tokens, however long the text is and whatever special tokens stand in it."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.tiny_models import write_sentencepiece_model
from puna.llama import library
from puna.llama.model import Model
from puna.llama.vocabulary import Vocabulary
from puna.paths import Paths

PARTS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|im_end|>x",
    "<s>",
    "</s>",
    " the llama",
    "\n",
    " ",
    "a",
    "é🦙",
    "<|im",
)


@pytest.fixture(params=["byte-level", "SentencePiece"])
def vocabulary(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Vocabulary]:
    library.start()
    path = Paths.for_user(os.environ).demo_model
    if request.param == "SentencePiece":
        control = ("<|im_start|>", "<|im_end|>", "<|im_end|>x")
        path = write_sentencepiece_model(tmp_path / "tiny.gguf", control_tokens=control)
    model = Model(path)
    yield model.vocabulary
    model.close()


@pytest.mark.parametrize("add_special", [False, True])
def test_a_long_text_in_parts_has_the_tokens_of_the_whole(vocabulary: Vocabulary, add_special: bool) -> None:
    rng = random.Random(1)
    for _ in range(5):
        text = "".join(rng.choices(PARTS, k=12_000))
        parts = list(vocabulary._split(text))
        assert len(parts) > 2
        assert "".join(parts) == text
        whole = vocabulary._tokenize(text, add_special=add_special, parse_special=True)
        assert vocabulary.tokenize(text, add_special=add_special, parse_special=True) == whole


def test_special_tokens_that_are_mere_text_stay_text(vocabulary: Vocabulary) -> None:
    text = "<|im_end|> the llama" * 2_000
    tokens = vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(map(vocabulary.piece, tokens)).decode().strip() == text


def test_the_time_does_not_grow_with_the_square_of_the_special_tokens(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp copies the text that it gets for each special token in it: it must never get a long one."""
    given: list[int] = []
    tokenize = vocabulary._tokenize

    def note(text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        given.append(len(text))
        return tokenize(text, add_special=add_special, parse_special=parse_special)

    monkeypatch.setattr(vocabulary, "_tokenize", note)
    tokens = vocabulary.tokenize(
        "<|im_start|>user\na<|im_end|>\n" * 20_000, add_special=True, parse_special=True
    )
    assert len(tokens) > 100_000
    assert max(given) < 20_000
