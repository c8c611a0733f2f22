"""POST /v1/rerank, under the names that other servers give it too."""

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.dialect import Route
from puna.api.exchange import exchange_of
from puna.api.model_names import acquire_model
from puna.api.openai.rerank.convert import from_ranking, to_request
from puna.api.openai.rerank.replies import RerankReply
from puna.api.openai.rerank.schema import RERANK
from puna.api.responses import json_response
from puna.domain.generation import Usage
from puna.domain.models import ModelKind

PATHS = ("/v1/rerank", "/v1/reranking", "/rerank", "/reranking")
"""Jina's, and the others of llama-server."""


async def rerank(request: web.Request) -> web.Response:
    """POST /v1/rerank: the documents by how well they answer the query."""
    body = RERANK.parse(await read_body(request))
    exchange = exchange_of(request)
    async with acquire_model(
        context_of(request), exchange.identity, body.model, kind=ModelKind.RERANKER
    ) as lease:
        ranking = await lease.rank(to_request(body))
        model = body.model or lease.entry.id
    exchange.add_usage(Usage(prompt_tokens=ranking.prompt_tokens))
    return json_response(from_ranking(ranking, body, model))


ROUTES = tuple(
    Route(method="POST", path=path, handler=rerank, generates=True, body=RERANK, reply=RerankReply)
    for path in PATHS
)
