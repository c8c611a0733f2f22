"""The routes of answers that are kept."""

from collections.abc import Sequence

from aiohttp import web

from puna.api.context import context_of
from puna.api.dialect import Route
from puna.api.exchange import exchange_of
from puna.api.openai.paging import to_limit
from puna.api.openai.responses.item_replies import Item
from puna.api.openai.responses.memory import Memory
from puna.api.openai.responses.replies import DeletedReply, ItemsReply, ResponseReply
from puna.api.responses import json_response
from puna.errors import InvalidRequestError, NotFoundError

_PATH = "/v1/responses/{response_id}"
_DEFAULT_LIMIT = 20
_MOST = 100


async def show(request: web.Request) -> web.Response:
    """GET /v1/responses/{response_id}: a response that was kept."""
    if request.query.get("stream", "false").lower() not in {"false", "0", ""}:
        raise InvalidRequestError(
            "`stream` must be false: only background responses are streamed again, and Puna has none.",
            field="stream",
        )
    body = await _memory_of(request).body(_id_of(request))
    if body is None:
        raise _not_found(request)
    return web.Response(body=body, content_type="application/json")


async def show_inputs(request: web.Request) -> web.Response:
    """GET /v1/responses/{response_id}/input_items: the conversation before a response that was kept."""
    limit, is_ascending = _limit_of(request), _is_ascending(request)
    items = await _memory_of(request).inputs(_id_of(request))
    if items is None:
        raise _not_found(request)
    ordered = items if is_ascending else items[::-1]
    return json_response(to_page(ordered, limit, request.query.get("after")))


async def delete(request: web.Request) -> web.Response:
    """DELETE /v1/responses/{response_id}: forgets a response that was kept."""
    if not await _memory_of(request).forget(_id_of(request)):
        raise _not_found(request)
    return json_response(DeletedReply(_id_of(request)))


async def cancel(request: web.Request) -> web.Response:
    """POST /v1/responses/{response_id}/cancel: there is nothing to cancel, and the error says so."""
    if await _memory_of(request).body(_id_of(request)) is None:
        raise _not_found(request)
    raise InvalidRequestError(
        "Only background responses can be cancelled, and Puna has none: close the connection to stop one.",
        field="response_id",
    )


def to_page(items: Sequence[Item], limit: int, after: str | None) -> ItemsReply:
    """Return a page of items, those behind the one with the id `after`. Raises `InvalidRequestError`."""
    ids = [item.id for item in items]
    if after is not None and after not in ids:
        raise InvalidRequestError("`after` must be the id of one of the items.", field="after")
    start = 0 if after is None else ids.index(after) + 1
    page = tuple(items[start : start + limit])
    return ItemsReply(
        data=page,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=start + limit < len(items),
    )


def _limit_of(request: web.Request) -> int:
    return to_limit(request.query.get("limit", str(_DEFAULT_LIMIT)), _MOST)


def _is_ascending(request: web.Request) -> bool:
    given = request.query.get("order", "desc")
    if given not in {"asc", "desc"}:
        raise InvalidRequestError("`order` must be one of asc, desc.", field="order")
    return given == "asc"


def _memory_of(request: web.Request) -> Memory:
    return Memory(context_of(request).conversations, exchange_of(request).identity)


def _id_of(request: web.Request) -> str:
    return request.match_info["response_id"]


def _not_found(request: web.Request) -> NotFoundError:
    return NotFoundError(
        f"Response with id '{_id_of(request)[:100]}' not found: responses are kept where `store` is true, "
        "and for a time."
    )


_PAGE = {
    "limit": "How many items to list, 1 to 100; 20 where it is absent.",
    "order": "`desc`, the newest first, which is usual, or `asc`.",
    "after": "List those behind the item with this id.",
}

ROUTES = (
    Route(method="GET", path=_PATH, handler=show, reply=ResponseReply),
    Route(method="DELETE", path=_PATH, handler=delete, reply=DeletedReply),
    Route(method="GET", path=f"{_PATH}/input_items", handler=show_inputs, reply=ItemsReply, query=_PAGE),
    Route(method="POST", path=f"{_PATH}/cancel", handler=cancel),
)
