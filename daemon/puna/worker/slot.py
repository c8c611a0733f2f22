"""A request that is being generated."""

from collections.abc import Sequence

from msgspec.structs import replace

from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    OutputEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    Timing,
    TokenLogprob,
    Usage,
)
from puna.errors import GenerationError
from puna.llama.adapter import Adapter
from puna.llama.sampler import Sampler
from puna.llama.vocabulary import Vocabulary
from puna.worker.constraints import TextConstraint
from puna.worker.preparation import PreparedRequest
from puna.worker.sequences import CachedSequence

Progress = tuple[Sequence[OutputEvent], FinishReason | None]
"""What is certain now, and why the request ends if it does."""


class Slot:
    """Holds a request from its arrival to its end; `sequence` is None while it waits.

    `tokens` is prompt and text so far; what of it the sequence has not computed yet is pending. A decoding
    request has one pending token, or a few that its format forces; a new or a preempted one has many.
    """

    def __init__(
        self,
        prepared: PreparedRequest,
        sampler: Sampler,
        adapter: Adapter | None = None,
        *,
        limit: int,
        now_s: float,
    ) -> None:
        """`limit` is the context length in tokens; `now_s` the time of arrival on the engine's clock."""
        self.request_id = prepared.request_id
        self.request = prepared.request
        self.tokens = prepared.tokens
        self.prompt_length = len(prepared.tokens)
        self.sampler = sampler
        self.adapter = adapter
        self.constraint = prepared.constraint
        self.sequence: CachedSequence | None = None
        self._text = prepared.text
        self._marker_pieces = prepared.marker_pieces
        self._is_announced = False
        self._limit = limit
        if self.request.max_tokens is not None:
            self._limit = min(limit, self.prompt_length + self.request.max_tokens)
        self._arrived_s = now_s
        self._started_s: float | None = None
        self._first_token_s: float | None = None
        self._cached_tokens = 0
        self._pushed = 1
        self._reasoning_tokens = 0
        self._silent_tokens = 0
        """Tokens since the last event: what comes of them is not certain yet."""
        self._logprobs: list[TokenLogprob] = []

    def start(self, sequence: CachedSequence, now_s: float) -> None:
        """Take a sequence, whose tokens are the part of the prompt that is computed already."""
        self.sequence = sequence
        if self._started_s is None:
            self._started_s = now_s
            self._cached_tokens = len(sequence.tokens)

    def preempt(self) -> CachedSequence:
        """Give the sequence back; the request will compute its tokens again."""
        sequence, self.sequence = self.sequence, None
        assert sequence is not None
        return sequence

    @property
    def computed(self) -> int:
        """Tokens in the cache."""
        return len(self.sequence.tokens) if self.sequence else 0

    @property
    def pending(self) -> int:
        """Tokens to compute before the next one can be sampled."""
        return len(self.tokens) - self.computed

    @property
    def computable(self) -> int:
        """Those of the pending tokens that the next step may compute.

        Where the text shall come again, the last token of a prompt has a step of its own, as it has when all before
        it is cached: what is computed in a larger batch differs in its last bits, and so does the text at last.
        """
        is_apart = self.is_prompting and self.request.sampling.is_repeatable
        return self.pending - 1 if is_apart else self.pending

    @property
    def is_prompting(self) -> bool:
        """Whether more is pending than the last sampled token and those forced behind it."""
        return self.pending > self._pushed

    @property
    def generated(self) -> int:
        """Tokens of the text so far."""
        return len(self.tokens) - self.prompt_length

    @property
    def tokens_left(self) -> int:
        """Tokens that the text may still have."""
        return self._limit - len(self.tokens)

    def advance(self, count: int) -> None:
        """The next `count` pending tokens are computed."""
        assert self.sequence is not None
        self.sequence.tokens.extend(self.tokens[self.computed : self.computed + count])

    def is_late(self, now_s: float) -> bool:
        """Whether `max_time_s` is over."""
        limit_s = self.request.max_time_s
        return limit_s is not None and self._started_s is not None and now_s - self._started_s >= limit_s

    def note_logprob(self, logprob: TokenLogprob) -> None:
        """Keep what is to be told of a token until text leaves with it."""
        self._logprobs.append(logprob)

    def announce(self, events: Sequence[OutputEvent], *, is_last: bool) -> Sequence[GenerationEvent]:
        """Return what the client is told: the events, with log probabilities, and before the first the start."""
        if not events and not is_last:
            return ()
        told: list[GenerationEvent] = [*events]
        if self._logprobs:
            told = _attach(self._logprobs, events, is_stopped=self._text.stop_text is not None)
            self._logprobs = []
        if not self._is_announced:
            self._is_announced = True
            told.insert(0, Started(self.prompt_length, self._cached_tokens))
        return told

    def open(self, vocabulary: Vocabulary) -> Progress:
        """Take in what the format forces at the very beginning; the result is that of `push`."""
        return self._follow([], vocabulary, None)

    def push(self, token: int, vocabulary: Vocabulary, now_s: float) -> Progress:
        """Take in a sampled token; return the events that are certain now, and why the request ends if it does.

        Raises `GenerationError` when the text cannot be kept to its format.
        """
        if self._first_token_s is None:
            self._first_token_s = now_s
        self._pushed = 1
        if vocabulary.is_end(token):
            return self._text.flush(), self._stop_reason()
        if self.constraint is not None:
            self.constraint.accept(token)
        return self._follow(self._append(token, vocabulary), vocabulary, now_s)

    def cut(self, events: Sequence[OutputEvent] = ()) -> Progress:
        """End the request for its length; what was held back comes behind `events`.

        Raises `GenerationError` when the format wants more: half of it is of no use to anyone.
        """
        if self.constraint is not None and not self.constraint.is_complete:
            raise GenerationError(
                f"The text did not reach the end of its format within {self.generated} tokens; "
                "allow more tokens or ask for less."
            )
        told = [*events, *self._text.flush()]
        return told, self._stop_reason() if self._text.is_over else FinishReason.LENGTH

    def _stop_reason(self) -> FinishReason:
        return FinishReason.TOOL_CALLS if self._text.has_calls else FinishReason.STOP

    def _follow(self, events: list[OutputEvent], vocabulary: Vocabulary, now_s: float | None) -> Progress:
        """Go on behind a token: forced tokens, then every reason to end."""
        if self.constraint is not None:
            events += self._take_forced(self.constraint, vocabulary)
            if self.constraint.is_over:
                return [*events, *self._text.flush()], self._stop_reason()
        if self._text.is_over:
            return events, self._stop_reason()
        if len(self.tokens) >= self._limit or (now_s is not None and self.is_late(now_s)):
            return self.cut(events)
        return events, None

    def _take_forced(self, constraint: TextConstraint, vocabulary: Vocabulary) -> list[OutputEvent]:
        """Take in the tokens that are the only way on; one at a time where the model's own chances are to be told."""
        if self.request.top_logprobs is not None:
            return []
        forced = constraint.take_forced()
        self.sampler.accept(forced)
        self._pushed += len(forced)
        return [event for token in forced for event in self._append(token, vocabulary)]

    def _append(self, token: int, vocabulary: Vocabulary) -> list[OutputEvent]:
        self.tokens.append(token)
        events = self._text.push(self._marker_pieces.get(token) or vocabulary.piece(token))
        self._silent_tokens += 1
        if events:
            self._reasoning_tokens += self._silent_tokens if isinstance(events[0], ReasoningDelta) else 0
            self._silent_tokens = 0
        return events

    def finish(self, reason: FinishReason, now_s: float) -> Finished:
        """Return the last event. The caller releases the sequence and closes the sampler."""
        started_s = self._started_s or now_s
        first_s = self._first_token_s or now_s
        return Finished(
            reason,
            Usage(self.prompt_length, self.generated, self._cached_tokens, self._reasoning_tokens),
            Timing(started_s - self._arrived_s, first_s - started_s, now_s - first_s),
            self._text.stop_text,
        )


def _attach(
    logprobs: Sequence[TokenLogprob], events: Sequence[OutputEvent], *, is_stopped: bool
) -> list[GenerationEvent]:
    """Return the events with the log probabilities at the first content; those of reasoning and calls are dropped."""
    told: list[GenerationEvent] = [*events]
    for index, event in enumerate(events):
        if isinstance(event, TextDelta):
            told[index] = replace(event, logprobs=_of_text(logprobs, event.text, is_stopped=is_stopped))
            return told
    silent = tuple(token for token in logprobs if not token.text)
    return told if told or is_stopped or not silent else [TextDelta("", silent)]


def _of_text(logprobs: Sequence[TokenLogprob], text: str, *, is_stopped: bool) -> tuple[TokenLogprob, ...]:
    """Return the tokens that a text is made of: markup may stand before it, and a stop string behind it."""
    size = len(text.encode())
    kept: list[TokenLogprob] = []
    for token in logprobs if is_stopped else reversed(logprobs):
        if size <= 0:
            break
        size -= len(token.text)
        kept.append(token)
    return tuple(kept if is_stopped else reversed(kept))
