"""Anthropic's stream: a message that begins, its blocks one after the other, and how it ends."""

from collections.abc import Iterator

from puna.api.anthropic.convert import SIGNATURE, AnswerHead, ShownThinking, from_usage, to_beginning, to_stop
from puna.api.anthropic.errors import to_error_body
from puna.api.anthropic.replies import (
    BlockDelta,
    BlockReply,
    BlockStart,
    BlockStop,
    DeltaReply,
    EventReply,
    InputDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    TextReply,
    ThinkingDelta,
    ThinkingReply,
    ToolUseReply,
)
from puna.api.anthropic.replies import TextDelta as TextDeltaReply
from puna.api.anthropic.tools import to_input
from puna.api.encoding import encode_json
from puna.api.streaming import SSE
from puna.domain.generation import (
    Finished,
    GenerationEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallBegin,
    Usage,
)
from puna.errors import PunaError


class BlockSequence:
    """The blocks of one message: at most one is open, and they are counted from 0."""

    def __init__(self) -> None:
        self._index = -1
        self._open: BlockReply | None = None

    def begin(self, block: BlockReply) -> Iterator[EventReply]:
        """End the block that is open, and begin this one, which is empty."""
        yield from self.end()
        self._index += 1
        self._open = block
        yield BlockStart(self._index, block)

    def go_on(self, block: BlockReply) -> Iterator[EventReply]:
        """Begin this block where none of its type is open."""
        if type(self._open) is not type(block):
            yield from self.begin(block)

    def more(self, delta: DeltaReply) -> BlockDelta:
        """Return more of the block that is open."""
        return BlockDelta(self._index, delta)

    def end(self) -> Iterator[EventReply]:
        """End the block that is open, if one is; one of thinking is signed first."""
        if self._open is None:
            return
        if isinstance(self._open, ThinkingReply):
            yield self.more(SignatureDelta(SIGNATURE))
        yield BlockStop(self._index)
        self._open = None


class MessageEncoder:
    """The stream of `/v1/messages`."""

    content_type = SSE

    def __init__(self, head: AnswerHead, request_id: str) -> None:
        self._head = head
        self._request_id = request_id
        self._has_begun = False
        self._blocks = BlockSequence()
        self._arguments: list[str] = []
        """Of the call that began last."""
        self._has_calls = False
        """Whether one of the calls is whole."""

    def encode(self, event: GenerationEvent) -> bytes:
        """Return the events that follow from one of the domain's."""
        return b"".join(map(_encode_event, (*self._begin(event), *self._go_on(event))))

    def encode_error(self, error: PunaError) -> bytes:
        """Return the event that clients raise."""
        return _encode_event(to_error_body(error, self._request_id))

    def _begin(self, event: GenerationEvent) -> Iterator[EventReply]:
        if self._has_begun:
            return
        self._has_begun = True
        usage = Usage()
        if isinstance(event, Started):
            usage = Usage(event.prompt_tokens, cached_tokens=event.cached_tokens)
        yield MessageStart(to_beginning(self._head, usage))
        yield Ping()

    def _go_on(self, event: GenerationEvent) -> Iterator[EventReply]:
        match event:
            case ReasoningDelta(text):
                yield from self._think(text)
            case TextDelta(text) if text:
                yield from self._blocks.go_on(TextReply(""))
                yield self._blocks.more(TextDeltaReply(text))
            case ToolCallBegin(_, id_, name):
                self._note_call()
                yield from self._blocks.begin(ToolUseReply(id_, name, {}))
            case ToolCallArguments(_, text):
                self._arguments.append(text)
                yield self._blocks.more(InputDelta(text))
            case Finished():
                self._note_call()
                yield from self._blocks.end()
                stop = to_stop(event, self._head, has_calls=self._has_calls)
                yield MessageDelta(stop, from_usage(event.usage))
                yield MessageStop()

    def _think(self, text: str) -> Iterator[EventReply]:
        if self._head.thinking is ShownThinking.NOTHING:
            return
        yield from self._blocks.go_on(ThinkingReply("", ""))
        if self._head.thinking is ShownThinking.ALL:
            yield self._blocks.more(ThinkingDelta(text))

    def _note_call(self) -> None:
        """Note whether the call that ends here, if one does, is whole."""
        self._has_calls = self._has_calls or to_input("".join(self._arguments)) is not None
        self._arguments.clear()


def _encode_event(event: EventReply) -> bytes:
    return f"event: {event.__struct_config__.tag}\ndata: ".encode() + encode_json(event) + b"\n\n"
