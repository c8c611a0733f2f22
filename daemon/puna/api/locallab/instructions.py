"""The system instructions, which go with prompts and conversations that bring none of their own."""

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.locallab.replies import InstructionsReply, MessageOnlyReply
from puna.api.locallab.schema import INSTRUCTIONS
from puna.api.responses import json_response


async def show(request: web.Request) -> web.Response:
    """GET /system/instructions: the instructions that go with prompts that bring none."""
    model_id = request.query.get("model_id") or None
    text = context_of(request).instructions.text_for(model_id)
    return json_response(InstructionsReply(text, model_id or "global"))


async def change(request: web.Request) -> web.Response:
    """POST /system/instructions: sets them, for all models or for one."""
    body = INSTRUCTIONS.parse(await read_body(request))
    await context_of(request).instructions.set_text(body.model_id or None, body.instructions)
    if body.model_id:
        return json_response(MessageOnlyReply(f"Updated system instructions for model {body.model_id}"))
    return json_response(MessageOnlyReply("Updated global system instructions"))


async def reset(request: web.Request) -> web.Response:
    """POST /system/instructions/reset: back to those of the settings."""
    model_id = request.query.get("model_id") or None
    await context_of(request).instructions.reset(model_id)
    whose = f"model {model_id}" if model_id else "all models"
    return json_response(MessageOnlyReply(f"Reset system instructions for {whose}"))
