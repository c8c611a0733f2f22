"""The machine, for the command line, the tray and the console."""

from aiohttp import web

from puna.api.context import context_of
from puna.api.hardware import describe_hardware
from puna.api.responses import json_response


async def hardware(request: web.Request) -> web.Response:
    """GET /puna/v1/hardware: the machine, what llama.cpp can use of it, and what each model uses and why not more."""
    return json_response(await describe_hardware(context_of(request)))
