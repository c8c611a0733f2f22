"""The chunks of a stream as the domain's events."""

import json
from collections.abc import Iterable

import pytest

from puna.domain.generation import (
    ChatPrompt,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    ReasoningDelta,
    Started,
    TextDelta,
    Timing,
    TokenLogprob,
    ToolCallArguments,
    ToolCallBegin,
    Usage,
)
from puna.domain.remote import RemoteModel
from puna.engine.upstream.assembly import Assembler
from puna.errors import (
    ContextOverflowError,
    GenerationTimeoutError,
    InvalidRequestError,
    OverloadedError,
    PunaError,
    RemoteEngineError,
    WorkerDiedError,
)

REMOTE = RemoteModel(name="big", url="http://box:1/v1")
REQUEST = GenerationRequest(prompt=ChatPrompt(()))


def delta(finish_reason: str | None = None, /, **fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def call(index: int | None = 0, **fields: object) -> dict[str, object]:
    name_and_arguments = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    place = {} if index is None else {"index": index}
    return delta(tool_calls=[{**place, **fields, "function": name_and_arguments}])


def assemble(chunks: Iterable[object], request: GenerationRequest = REQUEST) -> list[GenerationEvent]:
    assembler = Assembler(request, REMOTE)
    events = [event for chunk in chunks for event in assembler.push(encode(chunk))]
    return [*events, *assembler.finish(Timing())]


def encode(chunk: object) -> bytes:
    return chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()


def end(reason: FinishReason = FinishReason.STOP, usage: Usage | None = None) -> Finished:
    return Finished(reason, usage or Usage())


def test_a_text_begins_once_and_ends_with_its_figures() -> None:
    cached = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}
    assert assemble(
        [
            delta(role="assistant", content=""),
            delta(content="Hello"),
            delta(content=" world"),
            delta("stop"),
            {"choices": [], "usage": cached},
            b"[DONE]",
        ]
    ) == [Started(0), TextDelta("Hello"), TextDelta(" world"), end(usage=Usage(5, 2, 3))]


def test_what_the_prompt_cost_is_told_at_once_where_the_engine_tells_it_with_each_event() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": None}
    events = assemble([delta(content="a") | {"usage": usage}, delta("length") | {"usage": None}])
    assert events == [Started(5), TextDelta("a"), end(FinishReason.LENGTH, Usage(5, 1))]


def test_an_answer_without_a_word_begins_and_ends() -> None:
    assert assemble([delta("stop")]) == [Started(0), end()]


def test_text_completions_have_their_text_beside() -> None:
    chunks = [
        {"choices": [{"index": 0, "text": "Once"}]},
        {"choices": [{"text": "", "finish_reason": "stop"}]},
    ]
    assert assemble(chunks) == [Started(0), TextDelta("Once"), end()]


@pytest.mark.parametrize(
    "names", [("reasoning_content",), ("reasoning",), ("reasoning_content", "reasoning")]
)
def test_reasoning_comes_once_under_whatever_name(names: tuple[str, ...]) -> None:
    events = assemble([delta(**dict.fromkeys(names, "Hm.")), delta(content="So"), delta("stop")])
    assert events == [Started(0), ReasoningDelta("Hm."), TextDelta("So"), end()]


def test_calls_begin_with_their_name_and_go_on_with_arguments() -> None:
    events = assemble(
        [
            call(0, id="c0", name="weather", arguments=""),
            call(0, arguments='{"town": '),
            call(0, arguments='"Ulm"}'),
            call(1, id="c1", name="now"),
            delta("tool_calls"),
        ]
    )
    assert events == [
        Started(0),
        ToolCallBegin(0, "c0", "weather"),
        ToolCallArguments(0, '{"town": '),
        ToolCallArguments(0, '"Ulm"}'),
        ToolCallBegin(1, "c1", "now"),
        ToolCallArguments(1, "{}"),
        end(FinishReason.TOOL_CALLS),
    ]


def test_calls_of_engines_that_do_not_count_them() -> None:
    events = assemble(
        [call(None, id="a", name="f", arguments="{}"), call(None, id="b", name="g"), delta("stop")]
    )
    assert events[1:] == [
        ToolCallBegin(0, "a", "f"),
        ToolCallArguments(0, "{}"),
        ToolCallBegin(1, "b", "g"),
        ToolCallArguments(1, "{}"),
        end(FinishReason.TOOL_CALLS),
    ]


def test_calls_that_all_have_the_index_0_are_told_apart_by_their_ids() -> None:
    events = assemble(
        [
            call(0, id="a", name="f", arguments='{"x": '),
            call(0, id="a", name="f", arguments="1}"),
            call(0, id="b", name="g", arguments="{}"),
            delta("tool_calls"),
        ]
    )
    assert events[1:-1] == [
        ToolCallBegin(0, "a", "f"),
        ToolCallArguments(0, '{"x": '),
        ToolCallArguments(0, "1}"),
        ToolCallBegin(1, "b", "g"),
        ToolCallArguments(1, "{}"),
    ]


def test_calls_without_an_id_get_one_of_their_own() -> None:
    events = assemble([call(0, name="f", arguments="{}"), call(1, name="g", arguments="{}"), delta("stop")])
    begins = [event for event in events if isinstance(event, ToolCallBegin)]
    assert len({begin.id for begin in begins}) == 2
    assert all(begin.id.startswith("call_") for begin in begins)


def test_a_call_that_is_cut_at_the_limit_stays_open() -> None:
    events = assemble([call(0, id="c", name="f", arguments='{"a'), delta("length")])
    assert events[-2:] == [ToolCallArguments(0, '{"a'), end(FinishReason.LENGTH)]


@pytest.mark.parametrize(
    "chunks",
    [
        [call(0, arguments="{}")],
        [call(0, id="c", name="f"), call(1, id="d", name="g"), call(0, arguments="{}")],
    ],
)
def test_calls_that_are_mixed_up_fail(chunks: list[object]) -> None:
    with pytest.raises(RemoteEngineError, match="tool call"):
        assemble([*chunks, delta("tool_calls")])


def test_log_probabilities_of_chats() -> None:
    token = {
        "token": "\ufffd",
        "logprob": -0.5,
        "bytes": [226],
        "top_logprobs": [
            {"token": "a", "logprob": -1, "bytes": None},
            {"token": "b", "logprob": -2, "bytes": [98]},
        ],
    }
    chunk = delta(content="")
    chunk["choices"] = [{"delta": {"content": ""}, "logprobs": {"content": [token]}}]
    wanted = GenerationRequest(prompt=ChatPrompt(()), top_logprobs=1)
    assert assemble([chunk, delta("stop")], wanted)[1] == TextDelta(
        "", (TokenLogprob(b"\xe2", -0.5, (TokenLogprob(b"a", -1),)),)
    )
    assert assemble([chunk, delta("stop")]) == [Started(0), end()]


def test_log_probabilities_of_text_completions() -> None:
    told = {
        "tokens": ["Hi", "bytes:\\xe2\\x80"],
        "token_logprobs": [-0.1, None],
        "top_logprobs": [{"Ho": -3, "Hi": -0.1, "Ha": -4}, None],
    }
    chunk = {"choices": [{"text": "Hi", "logprobs": told, "finish_reason": "stop"}]}
    events = assemble([chunk], GenerationRequest(prompt=ChatPrompt(()), top_logprobs=2))
    best = (TokenLogprob(b"Hi", -0.1), TokenLogprob(b"Ho", -3))
    assert events[1] == TextDelta("Hi", (TokenLogprob(b"Hi", -0.1, best), TokenLogprob(b"\xe2\x80", -9999.0)))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("content_filter", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("function_call", FinishReason.TOOL_CALLS),
        ("abort", FinishReason.ABORT),
    ],
)
def test_reasons(told: str, reason: FinishReason) -> None:
    assert assemble([delta(told)])[-1] == end(reason)


@pytest.mark.parametrize("name", ["stop_reason", "matched_stop"])
def test_the_stop_string_is_told_where_the_engine_tells_it(name: str) -> None:
    wanted = GenerationRequest(prompt=ChatPrompt(()), stop=("###", "END"))

    def stop_text(value: object) -> str | None:
        chunk = {"choices": [{"delta": {}, "finish_reason": "stop", name: value}]}
        finished = assemble([chunk], wanted)[-1]
        assert isinstance(finished, Finished)
        return finished.stop_text

    assert stop_text("END") == "END"
    assert stop_text(128009) is None
    assert stop_text("other") is None
    assert stop_text(None) is None


@pytest.mark.parametrize(
    ("chunk", "error"),
    [
        ({"error": {"message": "x", "type": "server_error", "code": "overloaded"}}, OverloadedError),
        ({"error": {"message": "x", "type": "server_error", "code": "timeout"}}, GenerationTimeoutError),
        ({"error": {"message": "x", "type": "server_error", "code": "worker_died"}}, RemoteEngineError),
        ({"error": {"message": "x", "type": "BadRequestError", "code": 400}}, InvalidRequestError),
        ({"error": {"message": "x", "type": "exceed_context_size_error"}}, ContextOverflowError),
        ({"error": "x"}, RemoteEngineError),
        ({"object": "error", "message": "x", "type": "BadRequestError", "code": 400}, InvalidRequestError),
    ],
)
def test_errors_within_an_answer(chunk: object, error: type[PunaError]) -> None:
    with pytest.raises(error, match=r"big.*: x"):
        assemble([delta(content="a"), chunk])


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b'{"choices": 3}',
        b'{"choices": [{"delta": {"content": 1}}]}',
        b'{"choices": [{"delta": {"content": "\\ud800"}}]}',
        b'{"choices": ' + b"[" * 100_000,
    ],
)
def test_garbage_within_an_answer(data: bytes) -> None:
    with pytest.raises(RemoteEngineError, match="a stream that cannot be read"):
        assemble([delta(content="a"), data])


def test_an_answer_that_just_stops_is_no_answer() -> None:
    with pytest.raises(WorkerDiedError, match="before the answer was complete"):
        assemble([delta(content="a")])


def test_a_text_is_endless_beyond_what_its_tokens_can_hold() -> None:
    assembler = Assembler(GenerationRequest(prompt=ChatPrompt(()), max_tokens=2), REMOTE)
    for chunk in (delta(content="x" * 5_000), delta(reasoning_content="x" * 5_000), delta(content="x" * 500)):
        assert list(assembler.push(encode(chunk)))
        assert not assembler.is_endless
    for _ in range(20):
        assert list(assembler.push(encode(delta()))) == []
    assert assembler.is_endless
    assembler.cut()
    assert list(assembler.finish(Timing())) == [end(FinishReason.LENGTH)]


def test_a_text_without_a_limit_may_be_long() -> None:
    assembler = Assembler(REQUEST, REMOTE)
    assert list(assembler.push(encode(delta(content="x" * 1_000_000))))
    assert not assembler.is_endless
