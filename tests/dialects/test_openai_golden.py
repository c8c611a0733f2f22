"""OpenAI's requests and answers, from golden files: each case a request, what it means, events, and what is sent."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from fakes.golden import cases, check_golden, read_events
from fakes.scripted_model import LOADED
from puna.api.encoding import encode_json
from puna.api.openai.answer_head import AnswerHead
from puna.api.openai.chat import convert as chat_convert
from puna.api.openai.chat.schema import CHAT
from puna.api.openai.chat.stream import ChatEncoder
from puna.api.openai.choices import ChoicesEncoder
from puna.api.openai.completions import convert as completion_convert
from puna.api.openai.completions.stream import TextEncoder
from puna.api.openai.sampling import fit_windows
from puna.api.openai.schema import COMPLETION
from puna.domain.generation import Completion, CompletionBuilder, Finished, GenerationEvent, Started
from puna.errors import WorkerDiedError

CHATS = cases("openai/chat")
COMPLETIONS = cases("openai/completions")


def head(id_: str) -> AnswerHead:
    return AnswerHead(id=id_, created=1_767_323_045, model="demo", fingerprint="puna-test")


def whole(events: Sequence[GenerationEvent]) -> Completion:
    builder = CompletionBuilder()
    for event in events:
        if isinstance(event, Finished):
            return builder.finish(event)
        if not isinstance(event, Started):
            builder.push(event)
    raise AssertionError("no end")


def check_stream(case: Path, encoder: ChoicesEncoder, count: int) -> None:
    """All texts of a case are the same and come in turn."""
    events = read_events(case / "events.json")
    stream = b"".join(encoder.encode_choice(index, event) for event in events for index in range(count))
    failure = case / "failure.txt"
    if failure.exists():
        stream += encoder.encode_error(WorkerDiedError(failure.read_text(encoding="utf-8").strip()))
    assert stream.isascii()
    check_golden(case / "stream.txt", stream)


@pytest.mark.parametrize("case", CHATS, ids=lambda case: case.name)
def test_a_chat_is_read(case: Path) -> None:
    body = CHAT.parse((case / "request.json").read_bytes())
    chat_convert.check_supported(body)
    requests = fit_windows(chat_convert.to_requests(body), LOADED.context_length)
    assert len(requests) == body.count
    check_golden(case / "domain.json", requests if body.count > 1 else requests[0])


@pytest.mark.parametrize("case", CHATS, ids=lambda case: case.name)
def test_a_chat_is_streamed(case: Path) -> None:
    body = CHAT.parse((case / "request.json").read_bytes())
    check_stream(case, ChatEncoder(head("chatcmpl-1"), chat_convert.to_style(body), body.count), body.count)


@pytest.mark.parametrize(
    "case", [case for case in CHATS if not (case / "failure.txt").exists()], ids=lambda case: case.name
)
def test_a_chat_is_answered(case: Path) -> None:
    body = CHAT.parse((case / "request.json").read_bytes())
    completions = [whole(read_events(case / "events.json"))] * body.count
    reply = chat_convert.from_completions(completions, head("chatcmpl-1"), chat_convert.to_style(body))
    check_golden(case / "answer.json", msgspec.json.decode(encode_json(reply)))


@pytest.mark.parametrize("case", COMPLETIONS, ids=lambda case: case.name)
def test_a_completion_is_read(case: Path) -> None:
    body = COMPLETION.parse((case / "request.json").read_bytes())
    completion_convert.check_supported(body)
    requests = fit_windows(completion_convert.to_requests(body), LOADED.context_length)
    check_golden(case / "domain.json", requests if len(requests) > 1 else requests[0])


@pytest.mark.parametrize("case", COMPLETIONS, ids=lambda case: case.name)
def test_a_completion_is_streamed(case: Path) -> None:
    body = COMPLETION.parse((case / "request.json").read_bytes())
    style = completion_convert.to_style(body)
    check_stream(case, TextEncoder(head("cmpl-1"), style), len(style.echoes))


@pytest.mark.parametrize(
    "case", [case for case in COMPLETIONS if not (case / "failure.txt").exists()], ids=lambda case: case.name
)
def test_a_completion_is_answered(case: Path) -> None:
    body = COMPLETION.parse((case / "request.json").read_bytes())
    style = completion_convert.to_style(body)
    completions = [whole(read_events(case / "events.json"))] * len(style.echoes)
    reply = completion_convert.from_completions(completions, head("cmpl-1"), style)
    check_golden(case / "answer.json", msgspec.json.decode(encode_json(reply)))
