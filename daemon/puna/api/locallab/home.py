"""GET /: a page for people, a few facts for programs."""

import re
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

_PATTERN = re.compile(r":[^{}]+(?=})")
"""What stands behind a name in a path, such as `.+`: of no interest to people."""
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
{dialects}
</body>
</html>
"""


async def home(request: web.Request) -> web.Response:
    """GET /: HTML where the client asks for it, JSON otherwise."""
    context = context_of(request)
    model = active_model(context)
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
    response.headers["Vary"] = "Accept"
    return response


def _page(model: str | None, dialects: tuple[Dialect, ...], open_dialects: Collection[str]) -> str:
    lists = [
        _list_of(dialect, is_open=dialect.access is Access.THIS_MACHINE or dialect.name in open_dialects)
        for dialect in dialects
        if dialect.access is not Access.ADMIN
    ]
    return _PAGE.format(
        version=puna.__version__, model=escape(model or "none yet"), dialects="\n".join(lists)
    )


def _list_of(dialect: Dialect, *, is_open: bool) -> str:
    paths = [(route.method, _PATTERN.sub("", route.path)) for route in dialect.routes]
    items = [f"<li><code>{method} {escape(path)}</code></li>" for method, path in paths]
    access = "Open to programs on this machine." if is_open else "Needs a key."
    return f"<h2>{escape(dialect.name)}</h2>\n<p>{access}</p>\n<ul>{''.join(items)}</ul>"
