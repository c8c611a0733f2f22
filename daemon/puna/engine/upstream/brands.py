"""Which program an engine is, and what it understands beyond OpenAI's API."""

from enum import StrEnum


class Brand(StrEnum):
    """Engines as their list of models names them in `owned_by`."""

    PUNA = "puna"
    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMA_SERVER = "llamacpp"
    OTHER = "other"
    """Only OpenAI's own fields are sent where a request does not ask for more."""

    @property
    def has_defaults(self) -> bool:
        """Whether it knows `top_k`, `min_p` and `repetition_penalty`, and has values of its own for what is absent."""
        return self is not Brand.OTHER

    @property
    def counts_early(self) -> bool:
        """Whether it tells the tokens with each event of a stream (`continuous_usage_stats`)."""
        return self in (Brand.VLLM, Brand.SGLANG)

    @property
    def goes_on_by_itself(self) -> bool:
        """Whether it continues an assistant's message that comes last without being told to."""
        return self in (Brand.PUNA, Brand.LLAMA_SERVER)

    @property
    def constrains_texts(self) -> bool:
        """Whether text completions take a JSON schema too, not only chats."""
        return self in (Brand.VLLM, Brand.SGLANG, Brand.LLAMA_SERVER)

    @property
    def can_be_unlimited(self) -> bool:
        """Whether text completions can be told to run to the end of the context."""
        return self in (Brand.PUNA, Brand.VLLM, Brand.LLAMA_SERVER)


def brand_of(owner: str | None) -> Brand:
    """Return the brand that an `owned_by` stands for."""
    return next((brand for brand in Brand if brand.value == (owner or "").lower()), Brand.OTHER)
