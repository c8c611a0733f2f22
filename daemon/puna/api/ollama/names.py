"""Model names as Ollama writes them: `name:tag`, where no tag means the tag `latest`."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from puna.errors import ModelNotFoundError
from puna.models.gguf.defect import quote

_LATEST = ":latest"
_Found = TypeVar("_Found")


async def find_by_name(name: str, find: Callable[[str], Awaitable[_Found]]) -> _Found:
    """Return what `find` returns for the name, or for its other form where only that is known.

    Raises what `find` raises; for an unknown name a `ModelNotFoundError` that begins with the words that Ollama's
    clients look for, with the name as it was given.
    """
    try:
        return await find(name)
    except ModelNotFoundError as error:
        unknown = ModelNotFoundError(f"model {quote(name)} not found: {error.message}")
    other = other_form(name)
    if other is None:
        raise unknown
    try:
        return await find(other)
    except ModelNotFoundError:
        raise unknown from None


def other_form(name: str) -> str | None:
    """Return the name with `:latest` where it has no tag, or without it; None for other tags and for files."""
    if name.endswith(_LATEST):
        return name.removesuffix(_LATEST) or None
    return None if ":" in name or name.endswith(".gguf") else name + _LATEST


def listed_name(model_id: str, known: Collection[str]) -> str:
    """Return the name under which a model is listed: always with a tag, where that is not another one's name.

    Some clients put `:latest` behind a name without a tag before they look for it in the list. `known` are all
    ids and nicknames.
    """
    other = other_form(model_id)
    if other is None or model_id.endswith(_LATEST) or other in known:
        return model_id
    return other


def plain_name(name: str) -> str:
    """Return a name without the tag `latest`, which goes without saying."""
    return name.removesuffix(_LATEST) or name
