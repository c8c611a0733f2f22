"""Vectors: `/api/embed`, and `/api/embeddings`, which came before it."""

import time

from aiohttp import web
from msgspec import Raw

from puna.api.exchange import exchange_of
from puna.api.ollama.answers import to_ns
from puna.api.ollama.door import hold, read
from puna.api.ollama.replies import EncodedEmbeddingsReply, EncodedEmbedReply
from puna.api.ollama.schema import EMBED, EMBEDDINGS, EmbedBody
from puna.api.responses import json_response
from puna.api.vectors import check_inputs, embed_all
from puna.domain.embedding import EmbeddingRequest
from puna.domain.models import ModelKind

_NO_VECTOR = Raw(b"[]")


async def embed(request: web.Request) -> web.Response:
    """POST /api/embed: the vectors of some texts, each of length 1."""
    body = await read(request, EMBED)
    wanted = to_embedding_request(body)
    async with hold(request, body.model, body.keep_alive, kind=ModelKind.EMBEDDING) as (lease, head):
        began = time.monotonic()
        vectors, prompt_tokens = await embed_all(lease, wanted, exchange_of(request))
        return json_response(
            EncodedEmbedReply(
                model=body.model,
                embeddings=vectors,
                total_duration=to_ns(head.load_s + time.monotonic() - began),
                load_duration=to_ns(head.load_s),
                prompt_eval_count=prompt_tokens,
            )
        )


async def embed_one(request: web.Request) -> web.Response:
    """POST /api/embeddings: the vector is as long as the model makes it, not of length 1."""
    body = await read(request, EMBEDDINGS)
    inputs = (body.prompt,) if body.prompt else ()
    wanted = EmbeddingRequest(inputs=inputs, is_normalised=False)
    async with hold(request, body.model, body.keep_alive, kind=ModelKind.EMBEDDING) as (lease, _):
        vectors, _ = await embed_all(lease, wanted, exchange_of(request))
    return json_response(EncodedEmbeddingsReply(next(iter(vectors), _NO_VECTOR)))


def to_embedding_request(body: EmbedBody) -> EmbeddingRequest:
    """Return the request of `/api/embed`. Pure. Raises `InvalidRequestError` for too many inputs, or an empty one."""
    inputs = [body.input] if isinstance(body.input, str) and body.input else body.input or []
    check_inputs(inputs, "input")
    return EmbeddingRequest(
        inputs=tuple(inputs),
        dimensions=int(body.dimensions or 0) or None,
        is_truncated=body.truncate is not False,
    )
