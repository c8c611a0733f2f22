"""Paths that two APIs claim: whose request it is, told by its fields and headers. Pure."""

from collections.abc import Collection
from enum import Enum

_LAMINI_FIELDS = frozenset({"model_name", "out_type", "output_type"})
LAMINI_VERSION = "Lamini-Version"
"""The header that Lamini's clients send from version 3 on."""


class Claimant(Enum):
    """Whose request a body on `/v1/completions` is."""

    LAMINI = "lamini"
    OPENAI = "openai"
    NOBODY = "nobody"
    """It could be either, or neither: nothing in it tells."""


def claimant_of(fields: Collection[str], *, has_lamini_version: bool) -> Claimant:
    """Return whose request it is, by the names of its fields and by Lamini's header.

    Lamini's clients send `model_name` and never `model`; those of OpenAI the other way round.
    """
    if has_lamini_version or not _LAMINI_FIELDS.isdisjoint(fields):
        return Claimant.LAMINI
    return Claimant.OPENAI if "model" in fields else Claimant.NOBODY
