"""Vectors of many texts, for APIs that tell them as numbers: computed and written a part at a time."""

import array
import asyncio
import sys
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw
from msgspec.structs import replace

from puna.api.encoding import encode_json
from puna.api.exchange import Exchange
from puna.domain.embedding import EmbeddingRequest
from puna.domain.generation import Usage
from puna.errors import InvalidRequestError
from puna.residency.lease import Lease

MAX_INPUTS = 16_384
"""Their vectors are held in memory until the last is there."""
_EMBEDDED_AT_ONCE = 2048
"""Inputs that go to the model together: their vectors come back in one message, which has a limit."""
_ENCODED_AT_ONCE = 16
"""Vectors that are written before others get their turn: thousands of them take a while."""


class EncodedVectors(NamedTuple):
    """The vectors of all inputs, in their order."""

    vectors: tuple[Raw, ...]
    """Each a list of numbers in JSON."""
    prompt_tokens: int


def check_inputs(inputs: Sequence[str], field: str) -> None:
    """Raise `InvalidRequestError` for more inputs than one request may have, and for an empty one."""
    if len(inputs) > MAX_INPUTS:
        raise InvalidRequestError(f"`{field}` must have at most {MAX_INPUTS} items.", field=field)
    empty = next((index for index, text in enumerate(inputs) if not text), None)
    if empty is not None:
        name = f"{field}[{empty}]"
        raise InvalidRequestError(f"`{name}` is empty; give at least one character.", field=name)


async def embed_all(lease: Lease, wanted: EmbeddingRequest, exchange: Exchange) -> EncodedVectors:
    """Return the vectors, their tokens noted: clients send the texts of a whole library at once. Raises `PunaError`."""
    vectors: list[Raw] = []
    prompt_tokens = 0
    for at in range(0, len(wanted.inputs), _EMBEDDED_AT_ONCE):
        part = replace(wanted, inputs=wanted.inputs[at : at + _EMBEDDED_AT_ONCE])
        embedding = await lease.embed(part)
        exchange.add_usage(Usage(embedding.prompt_tokens))
        prompt_tokens += embedding.prompt_tokens
        vectors += await _encode(embedding.vectors)
    return EncodedVectors(tuple(vectors), prompt_tokens)


async def _encode(vectors: Sequence[bytes]) -> list[Raw]:
    encoded = []
    for number, vector in enumerate(vectors, start=1):
        encoded.append(Raw(encode_json(to_numbers(vector))))
        if number % _ENCODED_AT_ONCE == 0:
            await asyncio.sleep(0)
    return encoded


def to_numbers(vector: bytes) -> tuple[float, ...]:
    """Return the components of a vector that came as 32-bit floats, little-endian. Pure."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)
