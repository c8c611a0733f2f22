"""What conversations are made of, as answers and stored conversations have it. Each says in `type` what it is."""

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

from puna.api.openai.chat.replies import LogprobReply


class ItemStatus(StrEnum):
    """Whether an item is whole."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


class InputText(Struct, frozen=True, tag_field="type", tag="input_text"):
    """Text that a client brought."""

    text: str


class OutputText(Struct, frozen=True, tag_field="type", tag="output_text"):
    """Text of a model."""

    text: str
    annotations: tuple[None, ...] = ()
    """Always empty: Puna's models cite nothing. Clients need it to be there."""
    logprobs: tuple[LogprobReply, ...] = ()


class Refusal(Struct, frozen=True, tag_field="type", tag="refusal"):
    """A model's words on why it does not answer, brought by a client: models here do not mark theirs."""

    refusal: str


class ReasoningText(Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    """What a model thought."""

    text: str


class SummaryText(Struct, frozen=True, tag_field="type", tag="summary_text"):
    """The same, for clients that ask for a summary: the most detailed one that there is."""

    text: str


class MessageItem(Struct, frozen=True, tag_field="type", tag="message"):
    """Somebody's turn."""

    id: str
    status: ItemStatus
    role: str
    content: tuple[InputText | OutputText | Refusal, ...]


class ReasoningItem(Struct, frozen=True, tag_field="type", tag="reasoning"):
    """What a model thought before it went on."""

    id: str
    status: ItemStatus
    summary: tuple[SummaryText, ...] = ()
    content: tuple[ReasoningText, ...] = ()
    encrypted_content: str | None = None
    """The thoughts in one opaque word, where the client asked for it."""


class FunctionCallItem(Struct, frozen=True, tag_field="type", tag="function_call"):
    """A model's wish to have a tool run."""

    id: str
    status: ItemStatus
    call_id: str
    """What the tool's answer names."""
    name: str
    arguments: str
    """JSON text of an object, where the item is completed."""
    namespace: str | UnsetType = UNSET
    """Where the request has the tool in one."""


class FunctionCallOutputItem(Struct, frozen=True, tag_field="type", tag="function_call_output"):
    """A tool's answer."""

    id: str
    status: ItemStatus
    call_id: str
    output: str


class CustomCallItem(Struct, frozen=True, tag_field="type", tag="custom_tool_call"):
    """A model's wish to have a custom tool run."""

    id: str
    status: ItemStatus
    call_id: str
    name: str
    input: str
    """Any text; empty where the item is incomplete: half of it must not run."""
    namespace: str | UnsetType = UNSET


class CustomCallOutputItem(Struct, frozen=True, tag_field="type", tag="custom_tool_call_output"):
    """A custom tool's answer."""

    id: str
    status: ItemStatus
    call_id: str
    output: str


CallItem = FunctionCallItem | CustomCallItem
CallOutputItem = FunctionCallOutputItem | CustomCallOutputItem
OutputItem = MessageItem | ReasoningItem | CallItem
"""What a model makes."""
Item = OutputItem | CallOutputItem
"""What a conversation has."""
