"""Ollama's streams: lines of JSON, none of them blank, the last with the figures."""

from collections.abc import Callable
from datetime import datetime

from puna.api.encoding import encode_json
from puna.api.ollama.answers import (
    AnswerHead,
    from_chat_finish,
    from_finish,
    from_message,
    from_text,
    to_calls,
)
from puna.api.ollama.errors import message_of
from puna.api.ollama.replies import ErrorLine, MessageReply
from puna.api.streaming import NDJSON
from puna.domain.chat import ToolCall
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallBegin,
)
from puna.errors import PunaError

Clock = Callable[[], datetime]
"""Tells the aware moment that each line carries."""


class GenerateEncoder:
    """The stream of `/api/generate`."""

    content_type = NDJSON

    def __init__(self, head: AnswerHead, clock: Clock) -> None:
        self._head = head
        self._clock = clock
        self._texts: list[str] = []

    def encode(self, event: GenerationEvent) -> bytes:
        """Return one line; the last has `done`, without which one client calls the stream broken."""
        match event:
            case TextDelta(text, logprobs):
                if self._head.turns:
                    self._texts.append(text)
                return _line(from_text(text, self._head, self._clock(), logprobs=logprobs))
            case ReasoningDelta(text):
                return _line(from_text("", self._head, self._clock(), thinking=text))
            case Finished():
                text = "".join(self._texts)
                return _line(from_finish(event, self._head, self._clock(), text))
            case _:
                return b""

    def encode_error(self, error: PunaError) -> bytes:
        """Return the line that clients raise as an error."""
        return _line(ErrorLine(message_of(error)))


class ChatEncoder:
    """The stream of `/api/chat`. A call is held back until it is whole, and has a line of its own."""

    content_type = NDJSON

    def __init__(self, head: AnswerHead, clock: Clock) -> None:
        self._head = head
        self._clock = clock
        self._call: ToolCallBegin | None = None
        self._arguments: list[str] = []

    def encode(self, event: GenerationEvent) -> bytes:
        """Return the next lines; the last has `done`. Raises `GenerationError` for a call that the model broke."""
        match event:
            case ToolCallArguments(_, text):
                self._arguments.append(text)
                return b""
            case ToolCallBegin():
                ended = self._end_call(None)
                self._call = event
                return ended
            case TextDelta(text, logprobs):
                message = MessageReply(content=text)
                line = _line(from_message(message, self._head, self._clock(), logprobs=logprobs))
                return self._end_call(None) + line
            case ReasoningDelta(text):
                return self._end_call(None) + self._message_line(MessageReply(thinking=text))
            case Finished():
                last = _line(from_chat_finish(event, self._head, self._clock()))
                return self._end_call(event.reason) + last
            case _:
                return b""

    def encode_error(self, error: PunaError) -> bytes:
        """Return the line that clients raise as an error; a call that is not whole is dropped."""
        return _line(ErrorLine(message_of(error)))

    def _end_call(self, reason: FinishReason | None) -> bytes:
        begun, self._call = self._call, None
        arguments, self._arguments = "".join(self._arguments), []
        if begun is None:
            return b""
        call = ToolCall(begun.id, begun.name, arguments)
        calls = to_calls((call,), reason, first_index=begun.index)
        return self._message_line(MessageReply(tool_calls=calls)) if calls else b""

    def _message_line(self, message: MessageReply) -> bytes:
        return _line(from_message(message, self._head, self._clock()))


def _line(value: object) -> bytes:
    return encode_json(value) + b"\n"
