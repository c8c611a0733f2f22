"""Frames between daemon and worker."""

import pytest

from puna.domain.chat import Message, Role
from puna.domain.embedding import Embedding, EmbeddingRequest
from puna.domain.generation import (
    ChatPrompt,
    Finished,
    FinishReason,
    GenerationRequest,
    ReasoningDelta,
    Sampling,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallBegin,
    Usage,
)
from puna.engine import protocol
from puna.engine.protocol import (
    Abort,
    Embed,
    Embedded,
    Event,
    Failed,
    Generate,
    Load,
    ProtocolError,
    Shutdown,
)
from puna.errors import ErrorKind


def body(frame: bytes) -> bytes:
    assert protocol.decode_header(frame[: protocol.HEADER_BYTES]) == len(frame) - protocol.HEADER_BYTES
    return frame[protocol.HEADER_BYTES :]


def test_messages_to_the_worker_survive_the_wire() -> None:
    request = GenerationRequest(
        prompt=ChatPrompt((Message(Role.USER, "héllo \u2028"),)), sampling=Sampling(seed=7), stop=("x",)
    )
    messages: list[protocol.ToWorker] = [
        Load(path="m.gguf"),
        Generate(1, request),
        Embed(2, EmbeddingRequest(inputs=("text", (1, 2)))),
        Abort(1),
        Shutdown(),
    ]
    assert protocol.decode_to_worker(body(protocol.encode_frame(messages))) == messages


def test_messages_from_the_worker_survive_the_wire() -> None:
    messages: list[protocol.FromWorker] = [
        Event(3, Started(1)),
        Event(3, TextDelta("text")),
        Event(3, ReasoningDelta("hm")),
        Event(3, ToolCallBegin(0, "call_1", "ping")),
        Event(3, ToolCallArguments(0, "{}")),
        Event(3, Finished(FinishReason.LENGTH, Usage(1, 2, 1))),
        Embedded(4, Embedding((b"\x00\x00\x80?",), 3)),
        Failed(None, ErrorKind.MODEL_LOAD_FAILED, "no"),
    ]
    assert protocol.decode_from_worker(body(protocol.encode_frame(messages))) == messages


@pytest.mark.parametrize(
    "garbage", [b"", b"hello", b"\x91\x81\xa4type\xa4evil", b"\xc1", b"\x91\x81\xa4type\xa2\xff\xfe"]
)
def test_bytes_that_are_no_message_are_an_error(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode_from_worker(garbage)


def test_text_on_the_pipe_is_not_taken_for_a_length() -> None:
    with pytest.raises(ProtocolError, match="exceeds"):
        protocol.decode_header(b"llam")
