"""LocalLab's streams, byte for byte, and through the eyes of everyone who reads them."""

import json
import random

import pytest

from fakes.locallab_readers import (
    chat_text,
    read_as_cli,
    read_as_event_source,
    read_as_python_chat_client,
    read_as_python_client,
)
from fakes.trap_text import TRAP
from puna.api.locallab.stream import ChatEncoder, Chunker, GenerateEncoder
from puna.domain.generation import Finished, FinishReason, ReasoningDelta, TextDelta, Usage
from puna.errors import GenerationTimeoutError, PunaError, WorkerDiedError

END = Finished(FinishReason.STOP, Usage(1, 1))


def pieces_of(*deltas: str) -> list[str]:
    chunker = Chunker()
    return [piece for delta in deltas for piece in chunker.push(delta)] + chunker.flush()


def generated(*deltas: str, error: PunaError | None = None) -> bytes:
    return encoded(GenerateEncoder(), deltas, error)


def chatted(*deltas: str, error: PunaError | None = None) -> bytes:
    return encoded(ChatEncoder(), deltas, error)


def encoded(
    encoder: GenerateEncoder | ChatEncoder, deltas: tuple[str, ...], error: PunaError | None
) -> bytes:
    text = b"".join(encoder.encode(TextDelta(delta)) for delta in deltas)
    return text + (encoder.encode(END) if error is None else encoder.encode_error(error))


def escaped(text: str) -> str:
    """What lines can carry of a text: its line breaks in two characters, the white space at its end lost."""
    for line_break in "\n\v\f\x1c\x1d\x1e\x85\u2028\u2029":
        text = text.replace(line_break, "\\n")
    return text.replace("\r", "\\r").rstrip()


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def test_a_generate_stream_is_data_lines_and_done() -> None:
    assert generated("Hello", " world") == b"data: Hello\n\ndata:  world\n\ndata: [DONE]\n\n"


def test_a_chat_stream_carries_a_data_line_and_a_line_of_json() -> None:
    assert chatted("Hello", " wörld") == (
        b'data: Hello\n{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
        b"data:  w\xc3\xb6rld\n"
        b'{"choices":[{"index":0,"delta":{"content":" w\\u00f6rld"},"finish_reason":null}]}\n\n'
        b'data: [DONE]\n"[DONE]"\n\n'
    )


def test_an_empty_text_is_only_an_end() -> None:
    assert generated() == b"data: [DONE]\n\n"
    assert chatted() == b'data: [DONE]\n"[DONE]"\n\n'


def test_a_failure_is_told_to_every_reader_after_the_text() -> None:
    stream = generated("Once", " ", error=WorkerDiedError("The worker died\nof signal 9."))
    assert stream == (
        b"data: Once\n\n"
        b"Error: The worker died of signal 9.\ndata: [ERROR] The worker died of signal 9.\n\n"
        b"data: [DONE]\n\n"
    )
    assert read_as_python_client(stream) == ["Once", "\nError: The worker died of signal 9."]
    assert read_as_event_source(stream) == ["Once", "[ERROR] The worker died of signal 9.", "[DONE]"]


def test_a_failure_ends_a_chat_stream_the_same_way() -> None:
    stream = chatted("Once", error=WorkerDiedError("Gone."))
    assert stream.endswith(b"\n\nError: Gone.\ndata: [ERROR] Gone.\n\ndata: [DONE]\n\n")
    assert read_as_python_chat_client(stream)[-1] == {"error": "Gone."}
    assert chat_text(read_as_python_chat_client(stream)[:-1]) == "Once"


def test_no_message_holds_the_word_that_makes_a_client_ask_again() -> None:
    stream = generated(error=GenerationTimeoutError("Timeout: the TIMEOUT of 600 s passed."))
    assert b"timeout" not in stream.lower()
    assert b"the time limit of 600 s passed." in stream


@pytest.mark.parametrize(
    ("deltas", "pieces"),
    [
        (["Hello", " world"], ["Hello", " world"]),
        (["Hello ", "world"], ["Hello", " world"]),
        (["a", " ", " ", "b"], ["a", "  b"]),
        (["a", "\u00a0\u3000", "b"], ["a", "\u00a0\u3000b"]),
        ([" ", "\t"], []),
        (["a  "], ["a"]),
        (["one\ntwo"], ["one\\ntwo"]),
        (["one\r\ntwo\n"], ["one\\r\\ntwo\\n"]),
        (["a", "\n", "\n", "b"], ["a", "\\n", "\\n", "b"]),
        (["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei"], ["a\\nb\\nc\\nd\\ne\\nf\\ng\\nh\\ni"]),
        (["42", " is"], ["42 is"]),
        ([" 7", "8", " x"], [" 78 x"]),
        (["true", "st"], ["truest"]),
        (['"x"', "!"], ['"x"!']),
        (["[1]", " {}", "."], ["[1] {}", "."]),
        (["NaN", " "], ["NaN"]),
        (["It is 4", "2"], ["It is 4", "2"]),
        (["Error:", " x"], ["Error", ":", " x"]),
        (["Error: x"], ["Error", ": x"]),
        ([" Error: x"], [" Error", ": x"]),
        (["Errors: x"], ["Errors: x"]),
        (["An Error: x"], ["An Error: x"]),
        (["[DONE]"], ["[", "DONE]"]),
        ([" [DONE]"], [" [", "DONE]"]),
        (["[DONE] x"], ["[DONE] x"]),
        (["[ERROR] x"], ["[", "ERROR] x"]),
    ],
)
def test_text_is_cut_so_that_lines_keep_it(deltas: list[str], pieces: list[str]) -> None:
    assert pieces_of(*deltas) == pieces


def test_a_number_of_thousands_of_digits_does_not_stop_the_stream() -> None:
    assert "".join(pieces_of(*["123456789"] * 1000)) == "123456789" * 1000


def test_all_readers_get_the_trap_text() -> None:
    text = "".join(TRAP)
    expected = "Hello world 42\\nError: not really a\\nb c\\nd [DONE] end. \\n"
    stream = generated(*TRAP)
    assert "".join(read_as_python_client(stream)) == expected
    assert "".join(read_as_cli(stream)) == expected
    assert "".join(read_as_event_source(stream)[:-1]) == expected
    assert chat_text(read_as_python_chat_client(chatted(*TRAP))) == text
    assert "".join(read_as_cli(chatted(*TRAP))) == expected
    assert "".join(read_as_event_source(chatted(*TRAP))[:-1]) == expected


WORDS = (
    *TRAP,
    "a",
    "",
    "Err",
    "or",
    ":",
    "[",
    "DONE",
    "]",
    "{",
    "}",
    '"',
    "1",
    "-",
    "nul",
    "l",
    "\r",
    "\t",
    "é",
    "😀",
    "data: ",
)


@pytest.mark.parametrize("seed", range(5))
def test_all_readers_get_every_text_however_it_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        deltas = [word for word in chance.choices(WORDS, k=chance.randrange(12)) if word]
        text = "".join(deltas)
        plain, chat = generated(*deltas), chatted(*deltas)
        assert "".join(read_as_python_client(plain)) == escaped(text), deltas
        assert "".join(read_as_event_source(plain)[:-1]) == escaped(text), deltas
        assert "".join(read_as_event_source(chat)[:-1]) == escaped(text), deltas
        assert chat_text(read_as_python_chat_client(chat)) == text, deltas
        heard = "".join(read_as_cli(plain))
        assert escaped(text).startswith(heard), deltas
        assert heard == escaped(text) or is_json(escaped(text)[len(heard) :]), deltas


def test_events_are_whole_at_every_write() -> None:
    encoder = ChatEncoder()
    for delta in TRAP:
        event = encoder.encode(TextDelta(delta))
        assert event.endswith(b"\n\n")
        event.decode()


def test_reasoning_is_a_field_of_its_own_in_a_chat_and_no_text() -> None:
    encoder = ChatEncoder()
    chat = encoder.encode(ReasoningDelta("Hm.")) + encoder.encode(TextDelta("Yes")) + encoder.encode(END)
    assert chat_text(read_as_python_chat_client(chat)) == "Yes"
    assert b'"delta":{"content":"","reasoning":"Hm."}' in chat
    assert read_as_event_source(chat) == ["Yes", "[DONE]"]
    assert GenerateEncoder().encode(ReasoningDelta("Hm.")) == b""
