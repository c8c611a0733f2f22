"""Vectors: `/api/embed`, and `/api/embeddings`, which came before it."""

import array
import sys
import time

from aiohttp import web

from puna.api.exchange import exchange_of
from puna.api.ollama.answers import to_ns
from puna.api.ollama.door import Held, hold, read
from puna.api.ollama.replies import EmbeddingsReply, EmbedReply
from puna.api.ollama.schema import EMBED, EMBEDDINGS, EmbedBody
from puna.api.responses import json_response
from puna.domain.embedding import Embedding, EmbeddingRequest
from puna.domain.generation import Usage
from puna.domain.models import ModelKind


async def embed(request: web.Request) -> web.Response:
    """POST /api/embed: the vectors of some texts, each of length 1."""
    body = await read(request, EMBED)
    wanted = to_embedding_request(body)
    async with hold(request, body.model, body.keep_alive, kind=ModelKind.EMBEDDING) as held:
        began = time.monotonic()
        embedding = await _embed(request, held, wanted)
        load_s = held.head.load_s
        return json_response(
            EmbedReply(
                model=body.model,
                embeddings=tuple(to_numbers(vector) for vector in embedding.vectors),
                total_duration=to_ns(load_s + time.monotonic() - began),
                load_duration=to_ns(load_s),
                prompt_eval_count=embedding.prompt_tokens,
            )
        )


async def embed_one(request: web.Request) -> web.Response:
    """POST /api/embeddings: the vector is as long as the model makes it, not of length 1."""
    body = await read(request, EMBEDDINGS)
    inputs = (body.prompt,) if body.prompt else ()
    wanted = EmbeddingRequest(inputs=inputs, is_normalised=False)
    async with hold(request, body.model, body.keep_alive, kind=ModelKind.EMBEDDING) as held:
        embedding = await _embed(request, held, wanted)
    numbers = to_numbers(embedding.vectors[0]) if embedding.vectors else ()
    return json_response(EmbeddingsReply(numbers))


async def _embed(request: web.Request, held: Held, wanted: EmbeddingRequest) -> Embedding:
    if not wanted.inputs:
        return Embedding((), 0)
    embedding = await held.lease.embed(wanted)
    exchange_of(request).add_usage(Usage(embedding.prompt_tokens))
    return embedding


def to_embedding_request(body: EmbedBody) -> EmbeddingRequest:
    """Return the request of `/api/embed`. Pure."""
    inputs = [body.input] if isinstance(body.input, str) and body.input else body.input or []
    return EmbeddingRequest(
        inputs=tuple(inputs),
        dimensions=int(body.dimensions or 0) or None,
        is_truncated=body.truncate is not False,
    )


def to_numbers(vector: bytes) -> tuple[float, ...]:
    """Return the components of a vector that came as 32-bit floats, little-endian. Pure."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)
