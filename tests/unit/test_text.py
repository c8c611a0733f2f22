"""From token pieces to the text that a client sees."""

import random

from puna.worker.text import TextAssembler


def feed(assembler: TextAssembler, pieces: list[bytes]) -> str:
    text = ""
    for piece in pieces:
        text += assembler.push(piece)
        if assembler.stop_text is not None:
            return text
    return text + assembler.flush()


def test_a_stop_string_is_found_across_tokens_and_characters() -> None:
    assembler = TextAssembler(["§é"])
    raw = "before §é after".encode()
    assert feed(assembler, [bytes([byte]) for byte in raw]) == "before "
    assert assembler.stop_text == "§é"


def test_an_emoji_split_over_tokens_comes_out_whole() -> None:
    assembler = TextAssembler([])
    assert [assembler.push(bytes([byte])) for byte in "🦙".encode()] == ["", "", "", "🦙"]


def test_what_was_held_back_for_a_stop_string_comes_at_the_end() -> None:
    assembler = TextAssembler(["###"])
    assert assembler.push(b"text ##") == "text "
    assert assembler.flush() == "##"


def test_a_character_that_never_ends_becomes_a_replacement() -> None:
    assembler = TextAssembler([])
    assembler.push(b"ok \xf0\x9f")
    assert assembler.flush() == "\ufffd"


def test_every_split_gives_the_same_text() -> None:
    rng = random.Random(5)
    raw = "Añb — 🦙🦙 STOP tail".encode()
    for stops in ([], ["STOP"], ["🦙🦙"], ["—", "STOP"]):
        whole = feed(TextAssembler(stops), [raw])
        for _ in range(200):
            cuts = sorted(rng.sample(range(1, len(raw)), rng.randint(0, 10)))
            pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
            assert feed(TextAssembler(stops), pieces) == whole
