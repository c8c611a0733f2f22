"""What the Hub has to offer, as it is told to people."""

from enum import StrEnum

from msgspec import Struct


class Fit(StrEnum):
    """Whether a model can run here."""

    FITS = "fits"
    TIGHT = "tight"
    """It takes more than is free now, and less than there is."""
    TOO_LARGE = "too large"


class VariantOffer(Struct, frozen=True, kw_only=True):
    """One quantisation of a model."""

    name: str
    """The name that `puna pull` takes: `org/repo:Q4_K_M`."""
    label: str
    """Such as `Q4_K_M`; empty where no file name tells."""
    size_bytes: int
    """Of all files; 0 where the Hub does not say."""
    file_count: int
    fit: Fit | None
    """None where the size is not known."""
    is_recommended: bool = False
    """Whether a pull without a quantisation takes this one, on this machine."""


class RepoOffer(Struct, frozen=True, kw_only=True):
    """A repository with GGUF models."""

    repo: str
    downloads: int
    """Within the last month, as the Hub counts."""
    likes: int
    licence: str
    is_gated: bool
    """Whether a licence must be accepted on its page first."""
    is_private: bool
    architecture: str
    parameter_count: int
    context_length: int
    updated: str
    """The day of its last change, such as `2026-01-31`."""
    page: str
    """The address of its web page."""
    variants: tuple[VariantOffer, ...]
    """The recommended one first."""


class ModelPage(Struct, frozen=True, kw_only=True):
    """A repository with its card."""

    offer: RepoOffer
    card: str | None
    """Markdown, its first megabyte; None where the repository has none."""
    asked: str
    """What was asked for; another repository where this is a conversion of it."""
