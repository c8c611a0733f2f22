"""Vectors: one for a prompt, a list of them for a list."""

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Raw, Struct

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.dialect import Route
from puna.api.exchange import exchange_of
from puna.api.lamini.schema import Text
from puna.api.model_names import acquire_model
from puna.api.responses import json_response
from puna.api.validation import BodySchema
from puna.api.vectors import check_inputs, embed_all
from puna.domain.embedding import EmbeddingRequest
from puna.domain.models import ModelKind


class EmbeddingBody(Struct, kw_only=True, frozen=True):
    """POST /v1/embedding."""

    model_name: str | None = None
    """An embedding model; absent or empty: the current one."""
    prompt: Text | Annotated[list[Text], Meta(min_length=1)]
    """One text, or several; the answer is one or several, too."""

    @property
    def prompts(self) -> list[str]:
        """The texts, one or many."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class EmbeddingReply(Struct, frozen=True):
    """Answer of /v1/embedding: a vector, or a list of them."""

    embedding: tuple[float, ...] | tuple[tuple[float, ...], ...]


class EncodedEmbeddingReply(Struct, frozen=True):
    """The same with vectors that are JSON already."""

    embedding: Raw | tuple[Raw, ...]


EMBEDDING = BodySchema(EmbeddingBody, foreign_names={"input": "prompt"})


async def embed(request: web.Request) -> web.Response:
    """POST /v1/embedding: the vectors of some texts, each of length 1; a text that does not fit is not cut."""
    body, exchange = EMBEDDING.parse(await read_body(request)), exchange_of(request)
    check_inputs(body.prompts, "prompt")
    async with acquire_model(
        context_of(request), exchange.identity, body.model_name, kind=ModelKind.EMBEDDING
    ) as lease:
        vectors, _ = await embed_all(lease, EmbeddingRequest(inputs=tuple(body.prompts)), exchange)
    return json_response(EncodedEmbeddingReply(vectors if isinstance(body.prompt, list) else vectors[0]))


def _embedding_at(path: str) -> Route:
    return Route(
        method="POST", path=path, handler=embed, generates=True, body=EMBEDDING, reply=EmbeddingReply
    )


EMBEDDING_PREFIXES = ("/v1/embedding", "/v1/inference")
EMBEDDING_ROUTES = (_embedding_at("/v1/embedding"), _embedding_at("/v1/inference/embedding"))
"""For `DIALECT.routes` in `puna.api.lamini.routes`; clients of 2.x and pipelines know the second path."""
