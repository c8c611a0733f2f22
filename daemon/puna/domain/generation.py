"""What a dialect asks of a model, and what comes back."""

from enum import StrEnum

from msgspec import Struct

from puna.domain.chat import Message, Tool, ToolCall, ToolChoice
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
    penalises_prompt: bool = True
    """Whether the prompt's last tokens are among them, or only those of the text."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Pairs of a token id and what is added to its logit, -100 to 100; unknown ids are left out."""
    seed: int | None = None
    """32 bits; a result is repeatable when it runs alone. None draws a fresh one."""

    @property
    def is_repeatable(self) -> bool:
        """Whether the same request shall have the same result."""
        return self.seed is not None or self.temperature <= 0


class TextPrompt(Struct, frozen=True, tag="text"):
    """A prompt that goes to the model as it stands, after the model's own beginning-of-text token."""

    text: str


class TokenPrompt(Struct, frozen=True, tag="tokens"):
    """A prompt in tokens of the model's own vocabulary, to which nothing is added."""

    tokens: tuple[int, ...]


class InfillPrompt(Struct, frozen=True, tag="infill"):
    """Text with a gap, for models that were trained to fill one."""

    prefix: str
    suffix: str


class ChatPrompt(Struct, frozen=True, tag="chat"):
    """A conversation that the model's chat template renders.

    Where the last message is the assistant's, without calls, the answer goes on from it. What the model thinks
    and the tools that it calls come as events of their own.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = ToolChoice()
    is_thinking: bool | None = None
    """Whether the model shall think before it speaks, as far as its template can be told; None is its default."""
    effort: str | None = None
    """How much: `none` to `max`, or a word of the template's own."""
    template_variables: str = "{}"
    """Further values for the template, as JSON text of an object; names that it does not know do nothing."""


Prompt = TextPrompt | TokenPrompt | InfillPrompt | ChatPrompt


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
    adapter: str | None = None
    """The file of a LoRA adapter that was made for the model; None is the model alone."""


class FinishReason(StrEnum):
    """Why a text ended."""

    STOP = "stop"
    """An end-of-generation token or a stop string."""
    LENGTH = "length"
    """`max_tokens`, `max_time_s` or the end of the context."""
    TOOL_CALLS = "tool_calls"
    """As `STOP`, after the model called tools."""
    ABORT = "abort"
    """The client left, or the request was cancelled."""


class Usage(Struct, frozen=True):
    """Token counts of one request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt, those that came from the prefix cache."""
    reasoning_tokens: int = 0
    """Of the completion, those that the model thought with."""

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
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


class Started(Struct, frozen=True, tag="started"):
    """The prompt is computed; comes once, right before the first of the other events."""

    prompt_tokens: int
    cached_tokens: int = 0
    """Of them, those from the prefix cache."""


class TextDelta(Struct, frozen=True, tag="text"):
    """More content of an open request, never half a character; empty only where it carries log probabilities."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens of the content since the last delta, where the request wants them."""


class ReasoningDelta(Struct, frozen=True, tag="reasoning"):
    """More of what the model thinks before it speaks; of conversations only."""

    text: str


class ToolCallBegin(Struct, frozen=True, tag="tool_call"):
    """A call has begun; its name is certain."""

    index: int
    """Which call of this text it is, from 0."""
    id: str
    name: str


class ToolCallArguments(Struct, frozen=True, tag="tool_arguments"):
    """More of the arguments of the call that began last.

    Joined they are compact JSON text of an object. A text that ends within a call, or breaks its format there,
    leaves them open, so that they never parse as something that the model did not say.
    """

    index: int
    text: str


OutputEvent = TextDelta | ReasoningDelta | ToolCallBegin | ToolCallArguments
"""What a model's text is made of."""


class Finished(Struct, frozen=True, tag="finished"):
    """The last event of a request that did not fail."""

    reason: FinishReason
    usage: Usage
    timing: Timing = Timing()
    stop_text: str | None = None
    """The stop string that was found, when one was."""


GenerationEvent = Started | OutputEvent | Finished


class Completion(Struct, frozen=True):
    """A whole answer, for those that are not streamed."""

    text: str
    """The content."""
    finished: Finished
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the content's tokens, where the request wants them."""


class CompletionBuilder:
    """Puts the events of one request together."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._calls: list[ToolCallBegin] = []
        self._arguments: list[list[str]] = []

    def push(self, event: OutputEvent) -> None:
        """Take in the next event."""
        match event:
            case TextDelta(text, logprobs):
                self._content.append(text)
                self._logprobs.extend(logprobs)
            case ReasoningDelta(text):
                self._reasoning.append(text)
            case ToolCallBegin():
                self._calls.append(event)
                self._arguments.append([])
            case ToolCallArguments(_, text):
                self._arguments[-1].append(text)

    def finish(self, finished: Finished) -> Completion:
        """Return the answer."""
        return Completion(
            "".join(self._content),
            finished,
            "".join(self._reasoning),
            tuple(
                ToolCall(call.id, call.name, "".join(arguments))
                for call, arguments in zip(self._calls, self._arguments, strict=True)
            ),
            tuple(self._logprobs),
        )
