"""The request of `/api/generate` to the domain's. Pure.

What a prompt becomes
---------------------
As in Ollama, a model with a chat template gets the prompt as the user's turn, after `system` if there is one.
A model without a template continues the bare text, unless there is a `system`, which only a conversation can
carry. `raw` sends the bare text to any model. With a `suffix` the model fills the gap between both.

A field that would change the answer and is not supported is refused, never ignored: see `check_supported`.
`truncate` and `shift` need no such care: a prompt that does not fit is an error here, and never cut.
"""

from puna.api.ollama.options import to_request
from puna.api.ollama.schema import GenerateBody
from puna.api.ollama.think import to_thinking
from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, GenerationRequest, InfillPrompt, Prompt, TextPrompt
from puna.domain.models import LoadedModel
from puna.errors import InvalidRequestError


def check_supported(body: GenerateBody) -> None:
    """Refuse what would change the answer and no model supports. Raises `InvalidRequestError`."""
    refusals = {
        "images": (body.images, f'"{body.model}" does not support images: `images` is not supported yet.'),
        "context": (
            body.context,
            "`context` is not supported: use /api/chat, which takes the earlier turns.",
        ),
        "template": (
            body.template,
            "`template` is not supported: the model's own template is used; "
            "to render the prompt yourself, send it with `raw` set to true.",
        ),
    }
    for field, (value, refusal) in refusals.items():
        if value:
            raise InvalidRequestError(refusal, field=field)
    _check_exclusions(body)


def _check_exclusions(body: GenerateBody) -> None:
    for mode, value in (("raw", body.raw), ("suffix", body.suffix)):
        others = {"system": body.system, "think": body.think, "suffix": mode == "raw" and body.suffix}
        other = next((name for name, other_value in others.items() if value and other_value), None)
        if other is not None:
            raise InvalidRequestError(f"`{mode}` and `{other}` exclude each other.", field=other)


def to_generation(body: GenerateBody, loaded: LoadedModel) -> GenerationRequest:
    """Return the request. Raises `InvalidRequestError` for what this model cannot do."""
    return to_request(_to_prompt(body, loaded), body, loaded)


def _to_prompt(body: GenerateBody, loaded: LoadedModel) -> Prompt:
    text = body.prompt or ""
    thinking = to_thinking(body.think, model=body.model, can_think=loaded.can_think)
    if body.suffix:
        if not loaded.can_infill:
            raise InvalidRequestError(f'"{body.model}" does not support insert', field="suffix")
        return InfillPrompt(text, body.suffix)
    if body.raw or not (body.system or loaded.has_chat_template):
        return TextPrompt(text)
    user = Message(Role.USER, text)
    turns = (Message(Role.SYSTEM, body.system), user) if body.system else (user,)
    return ChatPrompt(turns, is_thinking=thinking.is_wanted, effort=thinking.effort)
