"""Whether and how much a model shall think, in the words of all servers that share these paths. Pure."""

from collections.abc import Mapping

from puna.api.encoding import encode_json
from puna.api.openai.chat.schema import ChatBody


def to_is_thinking(body: ChatBody) -> bool | None:
    """Return whether the model shall think; None where only an effort says so, or nothing."""
    switches = (
        body.enable_thinking,
        body.think if isinstance(body.think, bool) else None,
        body.reasoning.enabled if body.reasoning is not None else None,
        _switch_in(body.chat_template_kwargs or {}),
    )
    return next((each for each in switches if each is not None), None)


def to_effort(body: ChatBody) -> str | None:
    """Return how much it shall think; None where nothing says so."""
    efforts = (
        body.reasoning_effort,
        body.reasoning.effort if body.reasoning is not None else None,
        body.think if isinstance(body.think, str) else None,
    )
    return next((each for each in efforts if each), None)


def to_template_variables(body: ChatBody) -> str:
    """Return the template's further variables as JSON text."""
    return encode_json(body.chat_template_kwargs or {}).decode()


def _switch_in(variables: Mapping[str, object]) -> bool | None:
    """Templates call it one or the other."""
    for name in ("enable_thinking", "thinking"):
        if isinstance(variables.get(name), bool):
            return bool(variables[name])
    return None
