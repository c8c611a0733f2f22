"""LocalLab's request bodies. Field names are those on the wire.

A field goes by its name in the document, in the real server or in the TypeScript client; where several are
given, the first in that order counts. Null is the same as absent.
"""

from typing import Annotated, TypeVar

from msgspec import Meta, Struct, field

from puna.api.bounds import MAX_MESSAGES
from puna.api.validation import BodySchema
from puna.domain.chat import Role

MAX_PROMPTS = 64
"""Prompts of one batch. More would wait for slots longer than its client does."""

MAX_INSTRUCTIONS = 100_000
"""Characters: they stand before every prompt, and are read at each start."""

# Python clients send whole numbers as 100.0 too, so each of these is a union of both types.
TokenLimit = Annotated[int, Meta(ge=1, le=32_000)] | Annotated[float, Meta(ge=1, le=32_000, multiple_of=1)]
TopK = Annotated[int, Meta(ge=0, le=1000)] | Annotated[float, Meta(ge=0, le=1000, multiple_of=1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=1, le=2)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Text = Annotated[str, Meta(min_length=1)]

_Value = TypeVar("_Value")


def pick(default: _Value, *values: _Value | None) -> _Value:
    """Return the first value that is not None, else the default."""
    return next((value for value in values if value is not None), default)


class GenerationFields(Struct, kw_only=True, frozen=True):
    """What all three generation routes take. Every field is optional."""

    model_id: str | None = None
    """The model, which is loaded if it can be; absent or empty: the current one."""
    model_id_ts: str | None = field(default=None, name="modelId")
    """As `model_id`."""
    max_length: TokenLimit | None = None
    """New tokens, at most. Absent: 8192."""
    max_tokens: TokenLimit | None = None
    """As `max_length`."""
    max_new_tokens: TokenLimit | None = None
    """As `max_length`."""
    max_length_ts: TokenLimit | None = field(default=None, name="maxLength")
    """As `max_length`."""
    temperature: Temperature | None = None
    """How freely tokens are chosen; 0 takes the most likely one each time. Absent: 0.7."""
    top_p: Share | None = None
    """Only the most likely tokens that have this share together. Absent: 0.9."""
    top_p_ts: Share | None = field(default=None, name="topP")
    """As `top_p`."""
    top_k: TopK | None = None
    """Only so many of the most likely tokens; 0 is all of them. Absent: 80."""
    top_k_ts: TopK | None = field(default=None, name="topK")
    """As `top_k`."""
    repetition_penalty: Penalty | None = None
    """How much less likely a token gets that was there before; 1 is off. Absent: 1.15."""
    repetition_penalty_ts: Penalty | None = field(default=None, name="repetitionPenalty")
    """As `repetition_penalty`."""
    do_sample: bool | None = None
    """False: the most likely token each time. Absent: true."""
    do_sample_ts: bool | None = field(default=None, name="doSample")
    """As `do_sample`."""
    max_time: Seconds | None = None
    """Seconds after which the text ends where it is."""
    max_time_ts: Seconds | None = field(default=None, name="maxTime")
    """As `max_time`."""

    @property
    def model(self) -> str | None:
        """The model asked for; None and the empty name are the current one."""
        return pick(None, self.model_id, self.model_id_ts) or None


class PromptFields(GenerationFields, kw_only=True, frozen=True):
    """What `/generate` and `/generate/batch` take beside the prompts."""

    system_prompt: str | None = None
    """What the model is told beforehand. Absent: the instructions of the settings; empty: nothing."""
    system_prompt_ts: str | None = field(default=None, name="systemPrompt")
    """As `system_prompt`."""
    raw: bool | None = None
    """Puna's own: the prompt goes to the model as it stands, to be continued and not answered."""

    def __post_init__(self) -> None:
        if self.raw and pick("", self.system_prompt, self.system_prompt_ts):
            raise ValueError("`raw` and `system_prompt` exclude each other.")


class GenerateBody(PromptFields, kw_only=True, frozen=True):
    """POST /generate."""

    prompt: Text
    """What the model answers; for one without a chat template, or with `raw`, the text that it continues."""
    stream: bool | None = None
    """True: server-sent events as the text grows. Absent: false."""


class BatchBody(PromptFields, kw_only=True, frozen=True):
    """POST /generate/batch."""

    prompts: Annotated[list[Text], Meta(min_length=1, max_length=MAX_PROMPTS)]


class ChatMessage(Struct, frozen=True):
    """One turn."""

    role: Role
    content: str


class ChatBody(GenerationFields, kw_only=True, frozen=True):
    """POST /chat."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]
    """The conversation; the answer is its next message."""
    stream: bool | None = None
    """True: server-sent events as the text grows. Absent: false."""


class LoadBody(Struct, frozen=True, kw_only=True):
    """POST /models/load."""

    model_id: Text | None = None
    model_id_ts: Text | None = field(default=None, name="modelId")

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("`model_id` is required.")

    @property
    def model(self) -> str:
        """The model to load."""
        return pick("", self.model_id, self.model_id_ts)


class InstructionsBody(Struct, frozen=True, kw_only=True):
    """POST /system/instructions."""

    instructions: str
    """At most 100,000 characters."""
    model_id: str | None = None
    """Whose they are; absent: those of all models."""

    def __post_init__(self) -> None:
        if len(self.instructions) > MAX_INSTRUCTIONS:
            raise ValueError(f"`instructions` must have at most {MAX_INSTRUCTIONS} characters.")


GENERATE = BodySchema(GenerateBody, foreign_names={"inputs": "prompt"})
BATCH = BodySchema(BatchBody, foreign_names={"inputs": "prompts"})
CHAT = BodySchema(ChatBody)
LOAD = BodySchema(LoadBody)
INSTRUCTIONS = BodySchema(InstructionsBody)
