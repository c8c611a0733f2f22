"""A request that is being generated."""

from puna.domain.generation import Finished, FinishReason, Timing, TokenLogprob, Usage
from puna.errors import GenerationError
from puna.llama.sampler import Sampler
from puna.llama.vocabulary import Vocabulary
from puna.worker.preparation import PreparedRequest
from puna.worker.sequences import CachedSequence
from puna.worker.text import TextAssembler


class Slot:
    """Holds a request from its arrival to its end; `sequence` is None while it waits.

    `tokens` is prompt and text so far; what of it the sequence has not computed yet is pending. A decoding
    request has one pending token, or a few that its format forces; a new or a preempted one has many.
    """

    def __init__(self, prepared: PreparedRequest, sampler: Sampler, *, limit: int, now_s: float) -> None:
        """`limit` is the context length in tokens; `now_s` the time of arrival on the engine's clock."""
        self.request_id = prepared.request_id
        self.request = prepared.request
        self.tokens = prepared.tokens
        self.prompt_length = len(prepared.tokens)
        self.sampler = sampler
        self.constraint = prepared.constraint
        self.sequence: CachedSequence | None = None
        self._text = TextAssembler(prepared.stop)
        self._limit = limit
        if self.request.max_tokens is not None:
            self._limit = min(limit, self.prompt_length + self.request.max_tokens)
        self._arrived_s = now_s
        self._started_s: float | None = None
        self._first_token_s: float | None = None
        self._cached_tokens = 0
        self._pushed = 1
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

    def take_logprobs(self) -> tuple[TokenLogprob, ...]:
        """Return what was noted since the last time."""
        noted, self._logprobs = tuple(self._logprobs), []
        return noted

    def open(self, vocabulary: Vocabulary) -> tuple[str, FinishReason | None]:
        """Take in what the format forces at the very beginning; the result is that of `push`."""
        return self._follow("", vocabulary, None)

    def push(self, token: int, vocabulary: Vocabulary, now_s: float) -> tuple[str, FinishReason | None]:
        """Take in a sampled token; return the text that is certain now, and why the request ends if it does.

        Raises `GenerationError` when the text cannot be kept to its format.
        """
        if self._first_token_s is None:
            self._first_token_s = now_s
        self._pushed = 1
        if vocabulary.is_end(token):
            return self._text.flush(), FinishReason.STOP
        if self.constraint is not None:
            self.constraint.accept(token)
        return self._follow(self._append(token, vocabulary), vocabulary, now_s)

    def cut(self, text: str = "") -> tuple[str, FinishReason]:
        """End the request for its length; what was held back is added to `text`.

        Raises `GenerationError` when the format wants more: half of it is of no use to anyone.
        """
        if self.constraint is not None and not self.constraint.is_complete:
            raise GenerationError(
                f"The text did not reach the end of its format within {self.generated} tokens; "
                "allow more tokens or ask for less."
            )
        text += self._text.flush()
        return text, FinishReason.LENGTH if self._text.stop_text is None else FinishReason.STOP

    def _follow(
        self, text: str, vocabulary: Vocabulary, now_s: float | None
    ) -> tuple[str, FinishReason | None]:
        """Go on behind a token: forced tokens, then every reason to end."""
        if self.constraint is not None:
            forced = self.constraint.take_forced()
            self.sampler.accept(forced)
            self._pushed += len(forced)
            text += "".join(self._append(token, vocabulary) for token in forced)
            if self.request.top_logprobs is not None:
                self._logprobs.extend(TokenLogprob(vocabulary.piece(token), 0.0) for token in forced)
            if self.constraint.is_over:
                return text + self._text.flush(), FinishReason.STOP
        if self._text.stop_text is not None:
            return text, FinishReason.STOP
        if len(self.tokens) >= self._limit or (now_s is not None and self.is_late(now_s)):
            return self.cut(text)
        return text, None

    def _append(self, token: int, vocabulary: Vocabulary) -> str:
        self.tokens.append(token)
        return self._text.push(vocabulary.piece(token))

    def finish(self, reason: FinishReason, now_s: float) -> Finished:
        """Return the last event. The caller releases the sequence and closes the sampler."""
        started_s = self._started_s or now_s
        first_s = self._first_token_s or now_s
        return Finished(
            reason,
            Usage(self.prompt_length, self.generated, self._cached_tokens),
            Timing(started_s - self._arrived_s, first_s - started_s, now_s - first_s),
            self._text.stop_text,
        )
