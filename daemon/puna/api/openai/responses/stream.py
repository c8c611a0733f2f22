"""The stream of `/v1/responses`: OpenAI's events in OpenAI's order, as server-sent events with a name.

There is no `[DONE]` at the end: the last event is the answer itself, completed, incomplete or failed.
"""

from msgspec.structs import replace

from puna.api.encoding import encode_json
from puna.api.openai.errors import to_error
from puna.api.openai.responses.convert import ReasoningWish
from puna.api.openai.responses.drafts import CallDraft, Draft, Events, MessageDraft, ReasoningDraft
from puna.api.openai.responses.event_replies import (
    Completed,
    Created,
    ErrorEvent,
    EventReply,
    Failed,
    Incomplete,
    InProgress,
)
from puna.api.openai.responses.item_replies import ItemStatus, OutputItem
from puna.api.openai.responses.items import NewId
from puna.api.openai.responses.output import fail_reply, last_status, new_call_id
from puna.api.openai.responses.replies import ResponseReply, ResponseStatus
from puna.api.openai.responses.toolbox import Toolbox, tool_of
from puna.api.streaming import SSE
from puna.domain.generation import (
    Finished,
    GenerationEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallBegin,
)
from puna.errors import PunaError


class ResponseEncoder:
    """One stream. The last event comes from `encode_end`, when the answer is stored."""

    content_type = SSE

    def __init__(self, reply: ResponseReply, wish: ReasoningWish, toolbox: Toolbox, new_id: NewId) -> None:
        """`reply` is the answer as it has begun."""
        self._reply = reply
        self._wish = wish
        self._toolbox = toolbox
        self._new_id = new_id
        self._count = 0
        self._items: list[OutputItem] = []
        self._draft: Draft | None = None

    @property
    def output(self) -> tuple[OutputItem, ...]:
        """The items that have ended: all of them, after `Finished`."""
        return tuple(self._items)

    def encode(self, event: GenerationEvent) -> bytes:
        """Return the events for the next one; with `Finished` the ends of all items."""
        return self._write(self._begin() + self._take(event))

    def encode_end(self, reply: ResponseReply) -> bytes:
        """Return the last event."""
        is_whole = reply.status is ResponseStatus.COMPLETED
        return self._write((Completed(response=reply) if is_whole else Incomplete(response=reply),))

    def encode_error(self, error: PunaError) -> bytes:
        """Return the error, and the answer with what there is of it."""
        failure = to_error(error)
        told = ErrorEvent(
            code=failure.code or failure.type, message=failure.message, param=failure.param, error=failure
        )
        unfinished = (self._draft.to_item(ItemStatus.INCOMPLETE),) if self._draft else ()
        reply = fail_reply(self._reply, self.output + unfinished, error)
        return self._write((*self._begin(), told, Failed(response=reply)))

    def _begin(self) -> Events:
        if self._count:
            return ()
        return Created(response=self._reply), InProgress(response=self._reply)

    def _take(self, event: GenerationEvent) -> Events:
        match event:
            case Started():
                return ()
            case TextDelta(text, logprobs):
                return self._take_text(event) if text or logprobs else ()
            case ReasoningDelta(text):
                return self._take_reasoning(text)
            case ToolCallBegin():
                return self._begin_call(event)
            case ToolCallArguments(_, text):
                return self._draft.push(text) if isinstance(self._draft, CallDraft) else ()
            case Finished():
                return self._finish(event)

    def _take_text(self, delta: TextDelta) -> Events:
        if isinstance(self._draft, MessageDraft):
            return self._draft.push(delta)
        message, events = self._new_message()
        return events + message.push(delta)

    def _take_reasoning(self, text: str) -> Events:
        if isinstance(self._draft, ReasoningDraft):
            return self._draft.push(text)
        reasoning = ReasoningDraft(self._new_id("rs"), self._next_index, self._wish)
        return self._open(reasoning) + reasoning.begin() + reasoning.push(text)

    def _begin_call(self, begin: ToolCallBegin) -> Events:
        tool = tool_of(begin.name, self._toolbox)
        call = CallDraft(new_call_id(tool, self._new_id), self._next_index, begin, tool)
        return self._open(call) + call.begin()

    def _finish(self, finished: Finished) -> Events:
        events: Events = ()
        if self._draft is None:
            # A model that says nothing has still answered.
            _, events = self._new_message()
        return events + self._close(last_status(finished))

    def _new_message(self) -> tuple[MessageDraft, Events]:
        message = MessageDraft(self._new_id("msg"), self._next_index)
        return message, self._open(message) + message.begin()

    def _open(self, draft: Draft) -> Events:
        """Put an item in the place of the open one, whose end is returned."""
        events = self._close(ItemStatus.COMPLETED)
        self._draft = draft
        return events

    def _close(self, status: ItemStatus) -> Events:
        draft, self._draft = self._draft, None
        if draft is None:
            return ()
        self._items.append(draft.to_item(status))
        return draft.end(status)

    @property
    def _next_index(self) -> int:
        return len(self._items) + (self._draft is not None)

    def _write(self, events: Events) -> bytes:
        return b"".join(map(self._write_one, events))

    def _write_one(self, event: EventReply) -> bytes:
        numbered = replace(event, sequence_number=self._count)
        self._count += 1
        name = str(type(event).__struct_config__.tag).encode()
        return b"event: " + name + b"\ndata: " + encode_json(numbered) + b"\n\n"
