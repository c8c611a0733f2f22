"""The stream of text completions: chunks of one or several texts, the figures, `[DONE]`."""

from msgspec import UNSET

from puna.api.encoding import encode_json
from puna.api.openai.answer_head import AnswerHead
from puna.api.openai.completions.convert import TextStyle, to_finish_reason, to_reply
from puna.api.openai.completions.replies import TextChoiceReply
from puna.api.openai.errors import encode_error_event
from puna.api.openai.events import DONE, to_event
from puna.api.openai.logprobs import TextLogprobsWriter
from puna.api.openai.usage import to_usage
from puna.api.streaming import SSE
from puna.domain.generation import Finished, GenerationEvent, Started, TextDelta, Usage
from puna.errors import PunaError


class TextEncoder:
    """The stream of one request."""

    content_type = SSE

    def __init__(self, head: AnswerHead, style: TextStyle) -> None:
        """The style has an echo, empty or not, for each text."""
        self._head = head
        self._style = style
        self._writers = [TextLogprobsWriter() for _ in style.echoes]
        self._usages: dict[int, Usage] = {}

    def encode(self, event: GenerationEvent) -> bytes:
        """Return the chunks for an event of the only text."""
        return self.encode_choice(0, event)

    def encode_choice(self, index: int, event: GenerationEvent) -> bytes:
        """Return the chunks for an event of one text; the last `Finished` brings the end of the stream."""
        match event:
            case Started():
                echo = self._style.echoes[index]
                return self._chunk(TextChoiceReply(index=index, text=echo)) if echo else b""
            case TextDelta():
                return self._continue(index, event)
            case Finished():
                return self._finish(index, event)
            case _:
                return b""

    def encode_error(self, error: PunaError) -> bytes:
        """Return the event that clients raise as an error."""
        return encode_error_event(error)

    def _continue(self, index: int, delta: TextDelta) -> bytes:
        tokens = delta.logprobs if self._style.wants_logprobs else ()
        if not delta.text and not tokens:
            return b""
        logprobs = self._writers[index].write(tokens) if tokens else None
        return self._chunk(TextChoiceReply(index=index, text=delta.text, logprobs=logprobs))

    def _finish(self, index: int, finished: Finished) -> bytes:
        self._usages[index] = finished.usage
        reason = to_finish_reason(finished)
        end = self._chunk(TextChoiceReply(index=index, text="", finish_reason=reason))
        return end if len(self._usages) < len(self._style.echoes) else end + self._end()

    def _end(self) -> bytes:
        if not self._style.wants_usage:
            return DONE
        usages = [self._usages[index] for index in sorted(self._usages)]
        usage = to_usage(usages, per_prompt=self._style.per_prompt)
        return to_event(encode_json(to_reply((), self._head, usage))) + DONE

    def _chunk(self, choice: TextChoiceReply) -> bytes:
        usage = None if self._style.wants_usage else UNSET
        return to_event(encode_json(to_reply((choice,), self._head, usage)))
