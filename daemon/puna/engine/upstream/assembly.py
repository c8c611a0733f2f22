"""The chunks of a stream as the domain's events. Pure."""

import secrets
from collections.abc import Iterator

import msgspec

from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    OutputEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    Timing,
    ToolCallArguments,
    ToolCallBegin,
    Usage,
)
from puna.domain.remote import RemoteModel
from puna.engine.upstream import failures
from puna.engine.upstream.logprobs import to_logprobs
from puna.engine.upstream.replies import CallDelta, ChoiceFields, Chunk, UsageFields

DONE = b"[DONE]"

_REASONS = {
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "abort": FinishReason.ABORT,
}
"""Everything else is a regular end."""
_LONGEST_TEXT = 1_048_576
"""Tokens, where neither the request nor the settings set a limit."""
_CHARACTERS_OF_TOKEN = 256
"""More than the longest tokens have, which are 128 spaces."""
_CHARACTERS_BESIDE = 10_000
"""For what some engines do not count as tokens."""
_decoder = msgspec.json.Decoder(Chunk)


class Assembler:
    """Makes the events of one request.

    Engines tell at the end what the prompt cost, so `Started` has its tokens only where they tell it with each
    event. The figures stand in `Finished` in any case, and are 0 where the engine tells none.
    """

    def __init__(self, request: GenerationRequest, remote: RemoteModel) -> None:
        self._wants_logprobs = request.top_logprobs
        self._stop = request.stop
        self._remote = remote
        self._usage = Usage()
        self._has_started = False
        self._reason: FinishReason | None = None
        self._stop_text: str | None = None
        self._calls: list[str | int] = []
        """What the engine calls the calls that have begun: their index, or their id where it has none."""
        self._call_id: str | None = None
        """The id of the call that began last."""
        self._is_call_empty = False
        tokens = remote.context_length or _LONGEST_TEXT if request.max_tokens is None else request.max_tokens
        self._room = tokens * _CHARACTERS_OF_TOKEN + _CHARACTERS_BESIDE
        """Characters that may still come; an event costs one too."""

    @property
    def is_endless(self) -> bool:
        """Whether more has come than any engine sends that keeps the limit of tokens."""
        return self._room < 0

    @property
    def usage(self) -> Usage:
        """What the request has cost as far as the engine has told."""
        return self._usage

    def push(self, data: bytes) -> Iterator[GenerationEvent]:
        """Yield what an event of the stream means; nothing for `[DONE]`.

        Raises the error that the event is, and `RemoteEngineError` for one that cannot be read.
        """
        if data.strip() == DONE:
            return
        chunk = self._decode(data)
        self._room -= 1
        if chunk.usage is not None:
            self._usage = to_usage(chunk.usage)
        if not chunk.choices:
            return
        for event in self._read(chunk.choices[0]):
            yield from self._begin()
            yield event
            self._room -= 0 if isinstance(event, ToolCallBegin) else len(event.text)

    def finish(self, timing: Timing) -> Iterator[GenerationEvent]:
        """Yield the end. Raises `WorkerDiedError` where the engine did not say that the text is over."""
        if self._reason is None:
            raise failures.cut_off(self._remote)
        yield from self._begin()
        yield from self._end_call()
        reason = self._reason
        if self._calls and reason is FinishReason.STOP:
            # OpenAI says so after a call that was demanded.
            reason = FinishReason.TOOL_CALLS
        yield Finished(reason, self._usage, timing, self._stop_text)

    def cut(self) -> None:
        """End the text here: its time is up, or it is endless."""
        if self._reason is None:
            self._reason, self._is_call_empty = FinishReason.LENGTH, False

    def _decode(self, data: bytes) -> Chunk:
        try:
            chunk = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise failures.odd_answer("a stream that cannot be read", self._remote) from error
        if chunk.error is not None or (chunk.choices is None and chunk.fields.message):
            raise failures.from_event(chunk.fields, self._remote)
        return chunk

    def _begin(self) -> Iterator[GenerationEvent]:
        if not self._has_started:
            self._has_started = True
            yield Started(self._usage.prompt_tokens, self._usage.cached_tokens)

    def _read(self, choice: ChoiceFields) -> Iterator[OutputEvent]:
        delta = choice.delta
        reasoning = delta.reasoning_content or delta.reasoning if delta is not None else None
        if reasoning:
            yield ReasoningDelta(reasoning)
        text = choice.text or (delta and (delta.content or delta.refusal)) or ""
        top = self._wants_logprobs
        logprobs = () if top is None or choice.logprobs is None else to_logprobs(choice.logprobs, top)
        if text or logprobs:
            yield TextDelta(text, logprobs)
        for call in (delta and delta.tool_calls) or ():
            yield from self._read_call(call)
        if choice.finish_reason is not None:
            self._reason = _REASONS.get(choice.finish_reason, FinishReason.STOP)
            self._note_stop(choice.stop_reason, choice.matched_stop)

    def _read_call(self, call: CallDelta) -> Iterator[OutputEvent]:
        name = call.index if call.index is not None else call.id
        if name is not None and (name not in self._calls or self._is_next(call)):
            yield from self._end_call()
            yield self._begin_call(call, name)
        elif not self._calls or (name is not None and name != self._calls[-1]):
            raise failures.odd_answer("tool calls that are mixed up", self._remote)
        if call.function.arguments:
            self._is_call_empty = False
            yield ToolCallArguments(len(self._calls) - 1, call.function.arguments)

    def _is_next(self, call: CallDelta) -> bool:
        """Whether it is another call under the index of the one before: some engines number all of them 0."""
        return bool(call.id and call.function.name) and call.id != self._call_id

    def _begin_call(self, call: CallDelta, name: str | int) -> ToolCallBegin:
        if not call.function.name:
            raise failures.odd_answer("a tool call without a name", self._remote)
        self._calls.append(name)
        self._call_id = call.id
        self._is_call_empty = True
        id_ = call.id or f"call_{secrets.token_hex(12)}"
        return ToolCallBegin(len(self._calls) - 1, id_, call.function.name)

    def _end_call(self) -> Iterator[OutputEvent]:
        """Arguments are the text of an object, also where the engine says nothing as there are none."""
        if self._is_call_empty:
            self._is_call_empty = False
            yield ToolCallArguments(len(self._calls) - 1, "{}")

    def _note_stop(self, *told: object) -> None:
        """Keep the stop string, for engines that say which it was."""
        self._stop_text = next((each for each in told if isinstance(each, str) and each in self._stop), None)


def to_usage(fields: UsageFields) -> Usage:
    """Return the figures, as far as they are told."""
    prompt, completion = fields.prompt_tokens_details, fields.completion_tokens_details
    return Usage(
        fields.prompt_tokens or 0,
        fields.completion_tokens or 0,
        (prompt and prompt.cached_tokens) or 0,
        (completion and completion.reasoning_tokens) or 0,
    )
