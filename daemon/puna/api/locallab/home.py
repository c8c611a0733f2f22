"""GET /: a page for people, and a few facts for programs."""

from collections.abc import Collection
from html import escape

from aiohttp import web

import puna
from puna.api.context import context_of
from puna.api.dialect import Access, Dialect
from puna.api.locallab.replies import HomeReply
from puna.api.locallab.system import active_model
from puna.api.registry import registry_of
from puna.api.responses import json_response

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Puna</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em}}</style>
</head>
<body>
<h1>Puna {version}</h1>
<p>This machine answers here. Model: {model}.</p>
<p><a href="/docs">All routes with their fields</a> · <a href="/openapi.json">openapi.json</a></p>
<ul>
{dialects}
</ul>
</body>
</html>
"""


async def home(request: web.Request) -> web.Response:
    """GET /: HTML where the client asks for it, JSON otherwise; "Ollama is running" for Ollama's programs."""
    context = context_of(request)
    model = active_model(request)
    if "text/html" in request.headers.get("Accept", ""):
        page = _page(model, registry_of(request).dialects, context.settings.open_dialects)
        response = web.Response(text=page, content_type="text/html")
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    else:
        response = json_response(
            HomeReply(
                name="LocalLab",
                version=puna.__version__,
                status="running",
                model=model,
                uptime=round(context.activity.uptime_s, 2),
            )
        )
    response.headers["Vary"] = "Accept, User-Agent"
    return response


def _page(model: str | None, dialects: tuple[Dialect, ...], open_dialects: Collection[str]) -> str:
    lines = [
        _line_of(dialect, is_open=dialect.access is Access.THIS_MACHINE or dialect.name in open_dialects)
        for dialect in dialects
        if dialect.access is not Access.ADMIN and dialect.title
    ]
    return _PAGE.format(
        version=puna.__version__, model=escape(model or "none yet"), dialects="\n".join(lines)
    )


def _line_of(dialect: Dialect, *, is_open: bool) -> str:
    access = "Open to programs on this machine." if is_open else "Needs a key."
    summary = escape(dialect.summary.replace("`", ""))
    return f"<li><b>{escape(dialect.title)}</b>: {summary} {access}</li>"
