"""What is kept of an answer. The JSON is the API's own: nothing here looks into it."""

from msgspec import Struct


class StoredItem(Struct, frozen=True):
    """One piece of a conversation: a message, a call, a tool's answer."""

    id: str
    """As clients name it; one that a client brought need not be unique."""
    body: bytes
    """JSON text."""
    number: int | None = None
    """Where it lies, once it does: conversations that share an item keep it once."""


class StoredResponse(Struct, frozen=True, kw_only=True):
    """An answer and the whole conversation that led to it."""

    id: str
    owner: str
    """The organisation whose key asked; empty without a key."""
    body: bytes
    """The answer as its client got it: JSON text."""
    inputs: tuple[StoredItem, ...]
    """All that the model was given, earlier turns included."""
    outputs: tuple[StoredItem, ...]
    """What it answered."""
