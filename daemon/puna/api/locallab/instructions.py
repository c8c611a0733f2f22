"""The system instructions, which go with prompts and conversations that bring none of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.exchange import exchange_of
from puna.api.locallab.replies import InstructionsReply, MessageOnlyReply
from puna.api.locallab.schema import INSTRUCTIONS
from puna.api.model_names import find_model
from puna.api.responses import json_response
from puna.errors import ContextOverflowError, PunaError

_BLAME = (
    "The system instructions count too: GET /system/instructions shows them, "
    "and POST /system/instructions/reset takes them away."
)


async def show(request: web.Request) -> web.Response:
    """GET /system/instructions: the instructions that go with prompts that bring none."""
    name = request.query.get("model_id") or None
    text = context_of(request).instructions.text_for(await _kept_under(request, name))
    return json_response(InstructionsReply(text, name or "global"))


async def change(request: web.Request) -> web.Response:
    """POST /system/instructions: sets them, for all models or for one, by any of its names."""
    body = INSTRUCTIONS.parse(await read_body(request))
    model_id = await _id_of(request, body.model_id) if body.model_id else None
    await context_of(request).instructions.set_text(model_id, body.instructions)
    if body.model_id:
        return json_response(MessageOnlyReply(f"Updated system instructions for model {body.model_id}"))
    return json_response(MessageOnlyReply("Updated global system instructions"))


async def reset(request: web.Request) -> web.Response:
    """POST /system/instructions/reset: back to those of the settings."""
    name = request.query.get("model_id") or None
    await context_of(request).instructions.reset(await _kept_under(request, name))
    whose = f"model {name}" if name else "all models"
    return json_response(MessageOnlyReply(f"Reset system instructions for {whose}"))


@contextmanager
def blamed(text: str) -> Iterator[None]:
    """Let a prompt that does not fit say so, where these instructions went with it, or may have."""
    try:
        yield
    except ContextOverflowError as error:
        if not text:
            raise
        raise ContextOverflowError(f"{error.message} {_BLAME}", field=error.field) from error


async def _id_of(request: web.Request, name: str) -> str:
    """Return the id that answers will be given under: what is kept under another name would reach none."""
    return (await find_model(context_of(request), exchange_of(request).identity, name)).id


async def _kept_under(request: web.Request, name: str | None) -> str | None:
    """Return the id of a model; of one that is gone the name, so that its instructions can be read and reset."""
    try:
        return await _id_of(request, name) if name else None
    except PunaError:
        return name
