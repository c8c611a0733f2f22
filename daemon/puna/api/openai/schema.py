"""What chat and text completions have in common, and the body of the latter. Null is the same as absent.

Names are those on the wire. Beside OpenAI's own there are those that clients of llama-server, vLLM and Ollama
send to the same paths.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from puna.api.bounds import MAX_PROMPT_TOKENS
from puna.api.validation import BodySchema

MAX_CHOICES = 128
"""Texts of one request."""
MAX_STOPS = 64
"""Strings that end a text; workers take no more."""
MAX_TOKEN_ID = 2**31 - 1
"""No vocabulary has more; llama.cpp's token ids have 32 bits."""

# Python clients send whole numbers as 100.0 too, so each of these is a union of both types.
TokenLimit = (
    Annotated[int, Meta(ge=-1, le=10_000_000)] | Annotated[float, Meta(ge=-1, le=10_000_000, multiple_of=1)]
)
Choices = (
    Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | Annotated[float, Meta(ge=1, le=MAX_CHOICES, multiple_of=1)]
)
TopK = Annotated[int, Meta(ge=-1, le=1_000_000)] | Annotated[float, Meta(ge=-1, le=1_000_000, multiple_of=1)]
Window = (
    Annotated[int, Meta(ge=-1, le=10_000_000)] | Annotated[float, Meta(ge=-1, le=10_000_000, multiple_of=1)]
)
Seed = (
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[float, Meta(ge=-(2**53), le=2**53, multiple_of=1)]
)
Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Factor = Annotated[float, Meta(ge=0.1, le=10)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
TopLogprobs = Annotated[int, Meta(ge=0, le=20)] | Annotated[float, Meta(ge=0, le=20, multiple_of=1)]
LegacyLogprobs = Annotated[int, Meta(ge=0, le=5)] | Annotated[float, Meta(ge=0, le=5, multiple_of=1)]
TokenIds = Annotated[list[int], Meta(max_length=MAX_PROMPT_TOKENS)]
PromptItem = str | int | TokenIds


class StreamOptions(Struct, kw_only=True, frozen=True):
    """What a stream tells beside the text."""

    include_usage: bool | None = None
    """Whether a chunk with the figures comes before the end."""


class GenerationFields(Struct, kw_only=True, frozen=True):
    """How the next token is chosen, and when and how often the text ends."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit | None = None
    """New tokens; -1 runs to the end of the context."""
    n: Choices | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    repetition_penalty: Factor | None = None
    """vLLM's name."""
    repeat_penalty: Factor | None = None
    """llama-server's name for the same."""
    repeat_last_n: Window | None = None
    """Tokens that the penalties look at: 0 is off, -1 the whole context."""
    logit_bias: dict[str, Bias] | None = None
    """Token ids of the model's own vocabulary, as strings."""
    seed: Seed | None = None
    """-1 draws a fresh one."""
    stop: str | Annotated[list[str], Meta(max_length=MAX_STOPS)] | None = None
    keep_alive: str | float | None = None
    """Ollama's: how long the model stays in memory, in seconds or as `5m`; below 0 for ever, 0 not at all."""
    grammar: str | None = None
    guided_json: Any = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    structured_outputs: dict[str, Any] | None = None

    @property
    def count(self) -> int:
        """Texts for each prompt."""
        return int(self.n or 1)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream shall tell what it cost."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class CompletionBody(GenerationFields, kw_only=True, frozen=True):
    """POST /v1/completions."""

    prompt: str | Annotated[list[PromptItem], Meta(min_length=1, max_length=MAX_PROMPT_TOKENS)]
    """A text, several, the tokens of one, or those of several."""
    suffix: str | None = None
    echo: bool | None = None
    logprobs: LegacyLogprobs | None = None
    best_of: Choices | None = None


COMPLETION = BodySchema(CompletionBody, foreign_names={"inputs": "prompt", "messages": "prompt"})
