"""Ollama's `think` into the domain's. Pure."""

from typing import NamedTuple

from puna.errors import InvalidRequestError

_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "max": "xhigh"}


class Thinking(NamedTuple):
    """Whether a model shall think, and how much; see `ChatPrompt`."""

    is_wanted: bool | None
    effort: str | None = None


def to_thinking(think: bool | str | None, *, model: str, can_think: bool) -> Thinking:
    """Return what is asked for; as in Ollama a model that can think does so where nothing is said.

    `model` is the name that the request used. Raises `InvalidRequestError` for a model that cannot, and for
    a word that says nothing.
    """
    if think is None or think == "":
        return Thinking(True if can_think else None)
    if think is False:
        return Thinking(False)
    if isinstance(think, str) and think not in _EFFORTS:
        raise InvalidRequestError(
            '`think` must be true, false, "low", "medium", "high" or "max".', field="think"
        )
    if not can_think:
        raise InvalidRequestError(f'"{model}" does not support thinking', field="think")
    return Thinking(True, _EFFORTS[think] if isinstance(think, str) else None)
