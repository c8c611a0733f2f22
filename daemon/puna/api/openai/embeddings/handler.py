"""POST /v1/embeddings."""

import asyncio

from aiohttp import web
from msgspec import Raw

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.dialect import Route
from puna.api.encoding import encode_json
from puna.api.exchange import exchange_of
from puna.api.model_names import acquire_model
from puna.api.openai.embeddings.convert import check_dimensions, to_item, to_request, to_usage
from puna.api.openai.embeddings.replies import EmbeddingsReply, EncodedEmbeddings
from puna.api.openai.embeddings.schema import EMBEDDINGS, VectorFormat
from puna.api.responses import json_response
from puna.domain.embedding import Embedding
from puna.domain.generation import Usage
from puna.domain.models import ModelKind

_ENCODED_AT_ONCE = 16
"""Vectors that are written before others get their turn: thousands of them take a while."""


async def embed(request: web.Request) -> web.Response:
    """POST /v1/embeddings: the vectors of some texts, in their order."""
    body = EMBEDDINGS.parse(await read_body(request))
    wanted = to_request(body)
    exchange = exchange_of(request)
    async with acquire_model(
        context_of(request), exchange.identity, body.model, kind=ModelKind.EMBEDDING
    ) as lease:
        check_dimensions(wanted, lease.loaded.embedding_length)
        embedding = await lease.embed(wanted)
        model = body.model or lease.entry.id
    exchange.add_usage(Usage(prompt_tokens=embedding.prompt_tokens))
    items = await _encode_items(embedding, body.encoding_format)
    return json_response(EncodedEmbeddings(model=model, usage=to_usage(embedding.prompt_tokens), data=items))


async def _encode_items(embedding: Embedding, vector_format: VectorFormat | None) -> tuple[Raw, ...]:
    items = []
    for index, vector in enumerate(embedding.vectors):
        items.append(Raw(encode_json(to_item(vector, index, vector_format))))
        if index % _ENCODED_AT_ONCE == _ENCODED_AT_ONCE - 1:
            await asyncio.sleep(0)
    return tuple(items)


ROUTES = (
    Route(
        method="POST",
        path="/v1/embeddings",
        handler=embed,
        generates=True,
        body=EMBEDDINGS,
        reply=EmbeddingsReply,
    ),
)
