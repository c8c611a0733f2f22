"""Ollama's converters against golden files: requests to the domain's, events to streams and whole answers."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from fakes.golden import cases, check_golden, read_events
from fakes.scripted_model import LOADED
from puna.api.encoding import encode_json
from puna.api.ollama.answers import AnswerHead, from_chat_completion, from_completion
from puna.api.ollama.conversation import check_conversation, to_chat
from puna.api.ollama.convert import check_supported, to_generation, to_turns
from puna.api.ollama.schema import CHAT, GENERATE
from puna.api.ollama.stream import ChatEncoder, GenerateEncoder
from puna.api.streaming import StreamEncoder
from puna.domain.generation import (
    Completion,
    CompletionBuilder,
    Finished,
    GenerationEvent,
    GenerationRequest,
    Started,
)
from puna.errors import WorkerDiedError

ABLE = msgspec.structs.replace(LOADED, can_think=True, can_infill=True)
HEAD = AnswerHead("c60b9573f2fd", "llama3.2:1b", 0.5)
CASES = [pytest.param(path, id=path.name) for path in cases("ollama")]


def now() -> datetime:
    return datetime(2026, 11, 20, 5, 56, 44, tzinfo=UTC)


def is_chat(case: Path) -> bool:
    return b'"messages"' in (case / "request.json").read_bytes()


def request_of(case: Path) -> GenerationRequest:
    encoded = (case / "request.json").read_bytes()
    if is_chat(case):
        body = CHAT.parse(encoded)
        check_conversation(body)
        return to_chat(body, ABLE)
    asked = GENERATE.parse(encoded)
    check_supported(asked)
    return to_generation(asked, to_turns(asked), ABLE)


def complete(events: list[GenerationEvent]) -> Completion:
    builder = CompletionBuilder()
    for event in events:
        match event:
            case Started():
                pass
            case Finished():
                return builder.finish(event)
            case _:
                builder.push(event)
    raise AssertionError("no end")


@pytest.mark.parametrize("case", CASES)
def test_a_request_becomes_the_domain_s(case: Path) -> None:
    check_golden(case / "domain.json", request_of(case))


@pytest.mark.parametrize("case", CASES)
def test_events_become_lines(case: Path) -> None:
    encoder: StreamEncoder = (ChatEncoder if is_chat(case) else GenerateEncoder)(HEAD, now)
    events = read_events(case / "events.json")
    lines = b"".join(encoder.encode(event) for event in events)
    if not isinstance(events[-1], Finished):
        lines += encoder.encode_error(WorkerDiedError("The worker was killed by signal 9."))
    assert all(msgspec.json.decode(line, type=dict[str, object]) for line in lines.splitlines())
    check_golden(case / "stream.txt", lines)


@pytest.mark.parametrize("case", CASES)
def test_events_become_a_whole_answer(case: Path) -> None:
    events = read_events(case / "events.json")
    if isinstance(events[-1], Finished):
        convert = from_chat_completion if is_chat(case) else from_completion
        check_golden(case / "answer.json", json.loads(encode_json(convert(complete(events), HEAD, now()))))
