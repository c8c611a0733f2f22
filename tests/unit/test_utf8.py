"""Bytes of tokens to text."""

import random

import pytest

from puna.prompting.utf8 import Utf8Stream

TEXTS = [
    "plain",
    "Grüße, naïve façade",
    "日本語テキスト",
    "family 👩‍👩‍👧‍👦 flag 🇵🇪 llama 🦙",
    "combining e\u0301 a\u0308\u0323 and ZWJ \u200d",
    "\ufeffmark \u2028 line \U0010ffff end",
]

INVALID = [
    b"\xff",
    b"\x80\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\xa6",
    b"\xf0\x9f\xa6 then text",
    b"\xc0\xaf overlong",
    b"\xed\xa0\x80 surrogate",
    b"\xf4\x90\x80\x80 too large",
    b"ok \xf0\x9f\xf0\x9f\xa6\x99 ok",
    b"\xe2\x28\xa1",
]


def decode(pieces: list[bytes]) -> str:
    stream = Utf8Stream()
    return "".join(map(stream.push, pieces)) + stream.flush()


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_in_single_bytes_comes_out_in_whole_characters(text: str) -> None:
    stream = Utf8Stream()
    deltas = [stream.push(bytes([byte])) for byte in text.encode()]
    assert [delta for delta in deltas if delta] == list(text)
    assert stream.flush() == ""


@pytest.mark.parametrize("content", INVALID)
def test_invalid_bytes_become_replacements_as_python_makes_them(content: bytes) -> None:
    assert decode([content]) == content.decode("utf-8", "replace")
    assert decode([bytes([byte]) for byte in content]) == content.decode("utf-8", "replace")


def test_every_split_gives_the_same_text() -> None:
    dice = random.Random(3)
    for _ in range(2_000):
        whole = dice.choice(TEXTS).encode() + dice.choice(INVALID) + dice.choice(TEXTS).encode()
        cuts = sorted(dice.randrange(len(whole) + 1) for _ in range(6))
        pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        assert decode(pieces) == whole.decode("utf-8", "replace")


def test_an_open_character_waits_and_is_replaced_at_the_end() -> None:
    stream = Utf8Stream()
    assert stream.push(b"llama \xf0\x9f") == "llama "
    assert stream.flush() == "\ufffd"
    assert stream.push("🦙".encode()) == "🦙"
