"""Models of the catalogue as OpenAI's and Anthropic's. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from puna.api.openai.models.replies import ModelReply, ModelsReply
from puna.api.openai.paging import to_limit
from puna.domain.models import ModelEntry

MAX_PAGE = 1000


class Window(Struct, frozen=True):
    """Which part of a list is asked for, in the words of Anthropic's API."""

    after_id: str | None = None
    before_id: str | None = None
    limit: int | None = None
    """None is all of it."""


def to_model(name: str, entry: ModelEntry) -> ModelReply:
    """Return one model under a name."""
    changed = datetime.fromtimestamp(max(entry.modified_s, 0.0), UTC)
    return ModelReply(
        id=name,
        created=int(changed.timestamp()),
        display_name=entry.name,
        created_at=changed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        max_input_tokens=entry.context_length or None,
        max_model_len=entry.context_length or None,
    )


def to_window(query: Mapping[str, str]) -> Window:
    """Return the part that a query asks for. Raises `InvalidRequestError` for a limit that is none."""
    given = query.get("limit")
    limit = None if given is None else to_limit(given, MAX_PAGE)
    return Window(query.get("after_id"), query.get("before_id"), limit)


def to_page(models: Sequence[ModelReply], window: Window) -> ModelsReply:
    """Return the models of one part; without a limit all of them, which is what OpenAI's clients expect."""
    ids = [model.id for model in models]
    begin = ids.index(window.after_id) + 1 if window.after_id in ids else 0
    end = ids.index(window.before_id) if window.before_id in ids else len(ids)
    part = tuple(models[begin:end])
    shown = _cut(part, window)
    return ModelsReply(
        data=shown,
        has_more=len(shown) < len(part),
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
    )


def _cut(part: tuple[ModelReply, ...], window: Window) -> tuple[ModelReply, ...]:
    """Return as many as were asked for: the last ones before an id, else the first ones."""
    if window.limit is None:
        return part
    return part[-window.limit :] if window.before_id is not None else part[: window.limit]
