"""The stream of a chat: chunks of one or several answers, the figures, `[DONE]`."""

from msgspec import UNSET, UnsetType

from puna.api.encoding import encode_json
from puna.api.openai.answer_head import AnswerHead
from puna.api.openai.chat.convert import ChatStyle, to_finish_reason
from puna.api.openai.chat.replies import (
    ChunkChoiceReply,
    ChunkReply,
    DeltaReply,
    FunctionDelta,
    ToolCallDelta,
)
from puna.api.openai.errors import encode_error_event
from puna.api.openai.events import DONE, to_event
from puna.api.openai.logprobs import to_chat_logprobs
from puna.api.openai.replies import UsageReply
from puna.api.openai.usage import to_usage
from puna.api.streaming import SSE
from puna.domain.generation import (
    Finished,
    GenerationEvent,
    OutputEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallBegin,
    Usage,
)
from puna.errors import PunaError


class ChatEncoder:
    """The stream of one request.

    Clients put the answers together by their index and expect each to begin in that order, so the roles of all
    come first. Each call is begun with its index, id and name; its arguments follow in pieces.
    """

    content_type = SSE

    def __init__(self, head: AnswerHead, style: ChatStyle, count: int = 1) -> None:
        """`count` is how many answers there are."""
        self._head = head
        self._style = style
        self._count = count
        self._has_begun = False
        self._usages: dict[int, Usage] = {}

    def encode(self, event: GenerationEvent) -> bytes:
        """Return the chunks for an event of the only answer."""
        return self.encode_choice(0, event)

    def encode_choice(self, index: int, event: GenerationEvent) -> bytes:
        """Return the chunks for an event of one answer; the last `Finished` brings the end of the stream."""
        if isinstance(event, Started):
            return b""
        begin = b"" if self._has_begun else self._begin(event)
        if isinstance(event, Finished):
            return begin + self._finish(index, event)
        return begin + self._continue(index, event)

    def encode_error(self, error: PunaError) -> bytes:
        """Return the event that clients raise as an error."""
        return encode_error_event(error)

    def _begin(self, event: OutputEvent | Finished) -> bytes:
        """The content is null where something else comes first, as in whole answers that only call tools."""
        self._has_begun = True
        content = "" if isinstance(event, TextDelta | Finished) else None
        delta = DeltaReply(role="assistant", content=content)
        return b"".join(
            self._chunk(ChunkChoiceReply(index=index, delta=delta)) for index in range(self._count)
        )

    def _continue(self, index: int, event: OutputEvent) -> bytes:
        delta = self._to_delta(event)
        tokens = event.logprobs if isinstance(event, TextDelta) and self._style.wants_logprobs else ()
        if delta is None and not tokens:
            return b""
        return self._chunk(
            ChunkChoiceReply(
                index=index,
                delta=delta or DeltaReply(content=""),
                logprobs=to_chat_logprobs(tokens) if tokens else None,
            )
        )

    def _to_delta(self, event: OutputEvent) -> DeltaReply | None:
        match event:
            case TextDelta(text):
                return DeltaReply(content=text) if text else None
            case ReasoningDelta(text):
                is_shown = text and not self._style.hides_reasoning
                return DeltaReply(reasoning_content=text, reasoning=text) if is_shown else None
            case ToolCallBegin(position, id_, name):
                function = FunctionDelta(name=name, arguments="")
                return self._to_call(
                    ToolCallDelta(index=position, id=id_, type="function", function=function)
                )
            case ToolCallArguments(position, text):
                return self._to_call(ToolCallDelta(index=position, function=FunctionDelta(arguments=text)))

    def _to_call(self, call: ToolCallDelta) -> DeltaReply:
        if self._style.is_legacy:
            return DeltaReply(function_call=call.function)
        return DeltaReply(tool_calls=(call,))

    def _finish(self, index: int, finished: Finished) -> bytes:
        self._usages[index] = finished.usage
        reason = to_finish_reason(finished, self._style)
        end = self._chunk(ChunkChoiceReply(index=index, delta=DeltaReply(), finish_reason=reason))
        return end if len(self._usages) < self._count else end + self._end()

    def _end(self) -> bytes:
        if not self._style.wants_usage:
            return DONE
        usages = [self._usages[index] for index in sorted(self._usages)]
        return self._event((), to_usage(usages, per_prompt=self._count)) + DONE

    def _chunk(self, choice: ChunkChoiceReply) -> bytes:
        return self._event((choice,), None if self._style.wants_usage else UNSET)

    def _event(self, choices: tuple[ChunkChoiceReply, ...], usage: UsageReply | UnsetType | None) -> bytes:
        chunk = ChunkReply(
            id=self._head.id,
            created=self._head.created,
            model=self._head.model,
            system_fingerprint=self._head.fingerprint,
            choices=choices,
            usage=usage,
        )
        return to_event(encode_json(chunk))
