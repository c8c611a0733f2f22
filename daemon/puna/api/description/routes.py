"""GET /openapi.json and GET /docs.

Programs on this machine need no key, as for the home page: what stands here stands in the source, too. Who comes
from another machine needs one that holds.
"""

from aiohttp import web

from puna.api.description.publication import PUBLISHER, Publication
from puna.api.description.replies import Document
from puna.api.dialect import Access, Dialect, Route
from puna.api.errors import render_default_error
from puna.api.exchange import exchange_of


async def show_document(request: web.Request) -> web.Response:
    """GET /openapi.json: this description of all APIs, in OpenAPI 3.1."""
    publication = await _publication_of(request)
    return web.Response(body=publication.document, content_type="application/json")


async def show_page(request: web.Request) -> web.Response:
    """GET /docs: the same as a page for people, which loads nothing from the network."""
    publication = await _publication_of(request)
    return web.Response(
        body=publication.page,
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": publication.page_policy, "Referrer-Policy": "no-referrer"},
    )


async def _publication_of(request: web.Request) -> Publication:
    return await request.app[PUBLISHER].publication(exchange_of(request).head.local_port or 80)


DIALECT = Dialect(
    name="description",
    access=Access.THIS_MACHINE,
    prefixes=("/openapi.json", "/docs"),
    render_error=render_default_error,
    title="Description",
    summary="What this daemon answers, for programs and for people.",
    routes=(
        Route(
            method="GET",
            path="/openapi.json",
            handler=show_document,
            is_counted=False,
            scope=None,
            reply=Document,
        ),
        Route(method="GET", path="/docs", handler=show_page, is_counted=False, scope=None),
    ),
)
