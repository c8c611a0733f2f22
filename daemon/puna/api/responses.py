"""Whole answers."""

from aiohttp import web

from puna.api.encoding import encode_json


def json_response(value: object, *, status: int = 200) -> web.Response:
    """Return an answer in JSON."""
    return web.Response(body=encode_json(value), status=status, content_type="application/json")
