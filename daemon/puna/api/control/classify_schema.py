"""Body and answer of POST /puna/v1/classify."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from puna.api.validation import BodySchema
from puna.domain.classification import LabelChance

MAX_TEXTS = 100


class ClassifyBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/classify."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    """A model that was fine-tuned on labels: `ft_model_...`, or another name of one."""
    texts: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1, max_length=MAX_TEXTS)]
    """The texts, each on its own."""
    all_labels: bool | None = None
    """Whether every label is told, with its probability."""


class Classified(Struct, frozen=True, kw_only=True):
    """What a text was found to be."""

    label: str
    """The label that the model is most sure of."""
    probability: float
    """How sure, from 0 to 1."""
    labels: tuple[LabelChance, ...]
    """All labels of the text: one, or more where the training data had several."""
    all_labels: tuple[LabelChance, ...] | UnsetType = UNSET
    """Every label that the model knows, the likeliest first, where that was asked for."""


class ClassifyReply(Struct, frozen=True, kw_only=True):
    """Answer of POST /puna/v1/classify."""

    model: str
    is_multi_label: bool
    results: tuple[Classified, ...]
    """In the order of the texts."""


CLASSIFY = BodySchema(ClassifyBody)
