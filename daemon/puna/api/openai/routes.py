"""OpenAI's routes."""

from puna.api.dialect import Access, Dialect, Route
from puna.api.openai.chat.handler import chat
from puna.api.openai.chat.replies import ChatReply
from puna.api.openai.chat.schema import CHAT
from puna.api.openai.completions.handler import complete_prompts
from puna.api.openai.completions.replies import TextReply
from puna.api.openai.embeddings.handler import ROUTES as EMBEDDINGS
from puna.api.openai.errors import BARE_PATHS, render_error
from puna.api.openai.models.handler import list_models, show_model
from puna.api.openai.models.replies import ModelReply, ModelsReply
from puna.api.openai.rerank.handler import ROUTES as RERANK
from puna.api.openai.responses import ROUTES as RESPONSES
from puna.api.openai.schema import COMPLETION
from puna.api.streaming import SSE

_PAGE = {
    "limit": "How many models to list, 1 to 1000; all of them where it is absent.",
    "after_id": "List those behind this one.",
    "before_id": "List those before this one.",
}


def _chat_at(path: str) -> Route:
    return Route(
        method="POST",
        path=path,
        handler=chat,
        generates=True,
        body=CHAT,
        reply=ChatReply,
        stream_type=SSE,
    )


_COMPLETIONS = Route(
    method="POST",
    path="/v1/completions",
    handler=complete_prompts,
    generates=True,
    body=COMPLETION,
    reply=TextReply,
    stream_type=SSE,
)

ROUTES = (
    _chat_at("/v1/chat/completions"),
    # The base address that Lamini's clients give to OpenAI's.
    _chat_at("/inf/chat/completions"),
    _COMPLETIONS,
    Route(method="GET", path="/v1/models", handler=list_models, reply=ModelsReply, query=_PAGE),
    Route(method="GET", path="/inf/models", handler=list_models, reply=ModelsReply, query=_PAGE),
    Route(method="GET", path="/v1/models/{model_id:.+}", handler=show_model, reply=ModelReply),
)

DIALECT = Dialect(
    name="openai",
    access=Access.KEYED,
    prefixes=("/v1", "/inf", "/rerank", "/reranking", *BARE_PATHS),
    render_error=render_error,
    request_id_header="x-request-id",
    has_comments=True,
    key_variable="OPENAI_API_KEY",
    title="OpenAI",
    summary="Chat and text completions, embeddings and models, as OpenAI's clients and those of its many imitators "
    "know them; ranking as Jina's do.",
    routes=(*ROUTES, *EMBEDDINGS, *RERANK, *RESPONSES),
)
