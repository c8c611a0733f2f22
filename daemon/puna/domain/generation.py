"""What a dialect asks of a model, and what comes back."""

from enum import StrEnum

from msgspec import Struct

from puna.domain.chat import Message
from puna.domain.constraint import Constraint


class Sampling(Struct, frozen=True, kw_only=True):
    """How the next token is chosen. The defaults change nothing: plain sampling from the distribution.

    Ranges are those that a dialect must check; the worker clamps to them again before llama.cpp sees a value.
    """

    temperature: float = 1.0
    """0 to 2; 0 is greedy."""
    top_p: float = 1.0
    """0 to 1; 1 is off."""
    top_k: int = 0
    """0 and up; 0 is off."""
    min_p: float = 0.0
    """0 to 1; 0 is off."""
    repetition_penalty: float = 1.0
    """Above 0; 1 is off. Divides the logits of the last `penalty_window` tokens (Keskar et al. 2019)."""
    frequency_penalty: float = 0.0
    """-2 to 2, subtracted per occurrence."""
    presence_penalty: float = 0.0
    """-2 to 2, subtracted once."""
    penalty_window: int = 64
    """How many of the last tokens the penalties look at."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Pairs of a token id and what is added to its logit, -100 to 100; unknown ids are left out."""
    seed: int | None = None
    """32 bits; a result is repeatable when it runs alone. None draws a fresh one."""


class TextPrompt(Struct, frozen=True, tag="text"):
    """A prompt that goes to the model as it stands, after the model's own beginning-of-text token."""

    text: str


class ChatPrompt(Struct, frozen=True, tag="chat"):
    """A conversation that the model's chat template renders."""

    messages: tuple[Message, ...]


Prompt = TextPrompt | ChatPrompt


class Priority(StrEnum):
    """Who is served first when slots are scarce."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BACKGROUND = "background"
    """Tasks of a job: they use what interactive requests leave free, and never less than one slot."""


class GenerationRequest(Struct, frozen=True, kw_only=True):
    """One sequence to generate. Batches are several requests."""

    prompt: Prompt
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    """Limit of new tokens; None runs to the end of the context."""
    stop: tuple[str, ...] = ()
    """Strings that end the text; the one found is not part of it."""
    max_time_s: float | None = None
    """Seconds after admission to a slot, when the text ends with reason `length`."""
    top_logprobs: int | None = None
    """Tell the log probability of each token and of so many likely ones beside it; None tells none."""
    constraint: Constraint | None = None
    """What the text must look like. A text that could not be completed within its limits fails the request."""
    priority: Priority = Priority.INTERACTIVE


class FinishReason(StrEnum):
    """Why a text ended."""

    STOP = "stop"
    """An end-of-generation token or a stop string."""
    LENGTH = "length"
    """`max_tokens`, `max_time_s` or the end of the context."""
    ABORT = "abort"
    """The client left, or the request was cancelled."""


class Usage(Struct, frozen=True):
    """Token counts of one request; `cached_tokens` of the prompt came from the prefix cache."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


class Timing(Struct, frozen=True):
    """Seconds that one request spent waiting for a slot, in its prompt, and in its text."""

    queue_s: float = 0.0
    prompt_s: float = 0.0
    decode_s: float = 0.0


class TokenLogprob(Struct, frozen=True):
    """A token as the model saw it, before sampling changed its chances."""

    text: bytes
    """Its bytes, which need not be whole characters; empty for a control token."""
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple["TokenLogprob", ...] = ()
    """The most likely tokens in its place, the best first."""


class TextDelta(Struct, frozen=True, tag="delta"):
    """More text of an open request, never half a character; empty only where it carries log probabilities."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens since the last delta, where the request wants them."""


class Finished(Struct, frozen=True, tag="finished"):
    """The last event of a request that did not fail."""

    reason: FinishReason
    usage: Usage
    timing: Timing = Timing()
    stop_text: str | None = None
    """The stop string that was found, when one was."""


GenerationEvent = TextDelta | Finished


class Completion(Struct, frozen=True):
    """A whole text, for answers that are not streamed."""

    text: str
    finished: Finished
