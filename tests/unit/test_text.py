"""From token pieces to the text that a client sees."""

import random
from collections.abc import Sequence

from puna.domain.chat import Tool
from puna.domain.generation import (
    Completion,
    CompletionBuilder,
    Finished,
    FinishReason,
    OutputEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallBegin,
    Usage,
)
from puna.prompting.output_format import choose_output_format
from puna.worker.text import TextAssembler

HERMES = choose_output_format("</think> <tool_call>")
TOOLS = (Tool("ping"), Tool("pong"))
CALLS = """<think>Ping STOP?</think>Well.
<tool_call>
{"name": "ping", "arguments": {"word": "STOP"}}
</tool_call>
<tool_call>
{"name": "pong", "arguments": {}}
</tool_call>"""


def read(assembler: TextAssembler, pieces: Sequence[bytes]) -> list[OutputEvent]:
    events: list[OutputEvent] = []
    for piece in pieces:
        events += assembler.push(piece)
        if assembler.is_over:
            return events
    return events + assembler.flush()


def content(events: Sequence[OutputEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def feed(assembler: TextAssembler, pieces: list[bytes]) -> str:
    return content(read(assembler, pieces))


def with_calls(*, stop: Sequence[str] = (), max_calls: int | None = None) -> TextAssembler:
    return TextAssembler(stop, HERMES.new_parser("", TOOLS), max_calls=max_calls)


def completion_of(assembler: TextAssembler, text: str) -> Completion:
    builder = CompletionBuilder()
    for event in read(assembler, [character.encode() for character in text]):
        builder.push(event)
    return builder.finish(Finished(FinishReason.STOP, Usage()))


def test_a_stop_string_is_found_across_tokens_and_characters() -> None:
    assembler = TextAssembler(["§é"])
    raw = "before §é after".encode()
    assert feed(assembler, [bytes([byte]) for byte in raw]) == "before "
    assert assembler.stop_text == "§é"


def test_an_emoji_split_over_tokens_comes_out_whole() -> None:
    assembler = TextAssembler([])
    assert [content(assembler.push(bytes([byte]))) for byte in "🦙".encode()] == ["", "", "", "🦙"]


def test_what_was_held_back_for_a_stop_string_comes_at_the_end() -> None:
    assembler = TextAssembler(["###"])
    assert content(assembler.push(b"text ##")) == "text "
    assert content(assembler.flush()) == "##"


def test_a_character_that_never_ends_becomes_a_replacement() -> None:
    assembler = TextAssembler([])
    assembler.push(b"ok \xf0\x9f")
    assert content(assembler.flush()) == "\ufffd"


def test_every_split_gives_the_same_text() -> None:
    rng = random.Random(5)
    raw = "Añb — 🦙🦙 STOP tail".encode()
    for stops in ([], ["STOP"], ["🦙🦙"], ["—", "STOP"]):
        whole = feed(TextAssembler(stops), [raw])
        for _ in range(200):
            cuts = sorted(rng.sample(range(1, len(raw)), rng.randint(0, 10)))
            pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
            assert feed(TextAssembler(stops), pieces) == whole


def test_reasoning_content_and_calls_come_apart() -> None:
    assembler = with_calls()
    completion = completion_of(assembler, CALLS)
    assert (completion.reasoning, completion.text) == ("Ping STOP?", "Well.")
    assert [(call.name, call.arguments) for call in completion.tool_calls] == [
        ("ping", '{"word":"STOP"}'),
        ("pong", "{}"),
    ]
    assert assembler.has_calls
    assert len({call.id for call in completion.tool_calls}) == 2


def test_stop_strings_do_not_end_reasoning_or_arguments() -> None:
    assembler = with_calls(stop=["STOP"])
    assert len(completion_of(assembler, CALLS).tool_calls) == 2
    assert assembler.stop_text is None


def test_a_stop_string_in_the_content_keeps_calls_from_coming() -> None:
    assembler = with_calls(stop=["ell"])
    completion = completion_of(assembler, CALLS)
    assert (completion.text, completion.tool_calls, assembler.stop_text) == ("W", (), "ell")


def test_what_was_held_back_for_a_stop_string_comes_before_a_call() -> None:
    events = read(with_calls(stop=[".#"]), [CALLS.encode()])
    kinds = [type(event) for event in events]
    assert content(events) == "Well."
    assert kinds.index(TextDelta) < kinds.index(ToolCallBegin)


def test_a_text_ends_before_a_surplus_call() -> None:
    assembler = with_calls(max_calls=1)
    completion = completion_of(assembler, CALLS)
    assert [call.name for call in completion.tool_calls] == ["ping"]
    assert assembler.is_over


def test_a_thought_that_never_ends_is_no_content() -> None:
    events = read(with_calls(), [b"<think>still ", b"thinking \xf0\x9f"])
    assert content(events) == ""
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == "still thinking \ufffd"
