"""The request of `/api/generate` to the domain's. Pure.

What a prompt becomes
---------------------
As in Ollama, a model with a chat template gets the prompt as the user's turn, after `system` if there is one.
A model without a template continues the bare text, unless there is a `system`, which only a conversation can
carry. `raw` sends the bare text to any model. With a `suffix` the model fills the gap between both. The turns
of `context` come before the prompt; a new `system` takes the place of theirs.

A field that would change the answer and is not supported is refused, never ignored: see `check_supported`.
`truncate` and `shift` need no such care: a prompt that does not fit is an error here, and never cut.
"""

from collections.abc import Sequence
from itertools import filterfalse

from puna.api.ollama.memory import from_numbers
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
        others = {
            "system": body.system,
            "think": body.think,
            "context": body.context,
            "suffix": mode == "raw" and body.suffix,
        }
        other = next((name for name, other_value in others.items() if value and other_value), None)
        if other is not None:
            raise InvalidRequestError(f"`{mode}` and `{other}` exclude each other.", field=other)


def to_turns(body: GenerateBody) -> tuple[Message, ...]:
    """Return the conversation that the prompt is the last turn of; with `raw` or `suffix` there is none.

    Raises `InvalidRequestError` for a `context` that is none.
    """
    if body.raw or body.suffix:
        return ()
    earlier = from_numbers(body.context) if body.context else ()
    system = (Message(Role.SYSTEM, body.system),) if body.system else filter(_is_system, earlier)
    return (*system, *filterfalse(_is_system, earlier), Message(Role.USER, body.prompt or ""))


def _is_system(turn: Message) -> bool:
    return turn.role is Role.SYSTEM


def to_generation(body: GenerateBody, turns: Sequence[Message], loaded: LoadedModel) -> GenerationRequest:
    """Return the request; `turns` are those of `to_turns`.

    Raises `InvalidRequestError` for what this model cannot do.
    """
    return to_request(_to_prompt(body, turns, loaded), body, loaded)


def _to_prompt(body: GenerateBody, turns: Sequence[Message], loaded: LoadedModel) -> Prompt:
    text = body.prompt or ""
    thinking = to_thinking(body.think, model=body.model, can_think=loaded.can_think)
    if body.suffix:
        if not loaded.can_infill:
            raise InvalidRequestError(f'"{body.model}" does not support insert', field="suffix")
        return InfillPrompt(text, body.suffix)
    if body.raw:
        return TextPrompt(text)
    if not (loaded.has_chat_template or any(map(_is_system, turns))):
        return TextPrompt("".join(turn.content for turn in turns))
    return ChatPrompt(tuple(turns), is_thinking=thinking.is_wanted, effort=thinking.effort)
