"""Models as OpenAI and Anthropic list them: both read the same objects, each their own fields."""

from msgspec import Struct


class ModelReply(Struct, frozen=True, kw_only=True):
    """One model."""

    id: str
    object: str = "model"
    created: int
    """Seconds since 1970."""
    owned_by: str = "puna"
    type: str = "model"
    display_name: str
    created_at: str
    """The same moment as `created`, in RFC 3339."""
    lifecycle: str = "active"
    max_input_tokens: int | None
    """Tokens that the model was trained for."""
    max_model_len: int | None
    """The same, under vLLM's name."""


class ModelsReply(Struct, frozen=True, kw_only=True):
    """A list of models, or a page of it."""

    object: str = "list"
    data: tuple[ModelReply, ...]
    has_more: bool
    first_id: str | None
    last_id: str | None
