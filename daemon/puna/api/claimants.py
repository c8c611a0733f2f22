"""Paths that two APIs claim: whose request it is, told by its fields and headers. Pure but for `answer_as_settled`."""

from collections.abc import Collection
from enum import Enum

import msgspec
from aiohttp import web

from puna.api.exchange import exchange_of

_LAMINI_FIELDS = frozenset({"model_name", "out_type", "output_type"})
LAMINI_VERSION = "Lamini-Version"
"""The header that Lamini's clients send from version 3 on."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


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


def names_of_fields(body: bytes) -> frozenset[str]:
    """Return the names of the fields in a body; none for what is no JSON object."""
    try:
        return frozenset(_fields.decode(body.removeprefix(b"\xef\xbb\xbf")))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()


async def answer_as_settled(request: web.Request) -> web.StreamResponse:
    """Answer as the dialect whose request it is: the middleware has found that out."""
    route = exchange_of(request).route
    assert route is not None
    return await route.handler(request)
