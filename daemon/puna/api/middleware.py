"""The one stack that every request passes, unknown paths too: observe, render errors, guard, settle, limit."""

import logging
from contextlib import suppress

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from puna.api.access import AccessRules, Caller, admit, check_preflight, find_caller
from puna.api.body import BODY_ROOM, BodyRoomError, BodyStalledError, check_declared_length, read_body
from puna.api.claimants import names_of_fields
from puna.api.context import Context, context_of
from puna.api.dialect import Access
from puna.api.errors import translate_error
from puna.api.exchange import Exchange, begin_exchange, exchange_of, find_exchange
from puna.api.guard import (
    GuardPolicy,
    check_content_encoding,
    check_content_type,
    check_no_loop,
    check_source,
)
from puna.api.head import head_of
from puna.api.registry import Claim, Registry, registry_of
from puna.domain.generation import Usage
from puna.engine.upstream.passage import note_passed
from puna.errors import BodyTooLargeError, ForbiddenError, PunaError, RouteNotFoundError, UnauthenticatedError
from puna.keys.identity import Identity
from puna.logs import access_line

_access_log = logging.getLogger("puna.access")

CLIENT_LEFT = 499
"""The status in log and metrics when nobody was there for the answer; nginx's number."""
PREFLIGHT_MAX_AGE_S = 60
"""How long a browser may remember that an origin is allowed: short, so that a changed setting counts soon."""

_READABLE = "Retry-After, Request-Id, X-Process-Time, X-Request-Count, X-Request-Id"
"""Headers that a page which may call can read, beside those that browsers show anyway."""


def make_middlewares(registry: Registry, policy: GuardPolicy) -> list[Middleware]:
    """Return the stack, outermost first."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        exchange = _begin(request, registry)
        status = CLIENT_LEFT
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            _end(request, exchange, status)

    @web.middleware
    async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - the border: nothing foreign passes it
            return _error_response(exchange_of(request), translate_error(error))

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        exchange = exchange_of(request)
        exchange.allowed_origin = check_source(exchange.head, policy)
        _identify(exchange, registry.claim_of(request), context_of(request))
        if not exchange.head.is_preflight:
            takes_multipart = exchange.route is not None and exchange.route.takes_multipart
            check_content_type(exchange.head, takes_multipart=takes_multipart)
        missing = request.match_info.http_exception
        if exchange.head.is_preflight and isinstance(missing, web.HTTPMethodNotAllowed):
            return _preflight_response(exchange, missing.allowed_methods)
        if exchange.route is None and missing is None:
            raise RouteNotFoundError("Not Found")
        note_passed(check_no_loop(exchange.head, context_of(request).instance))
        check_content_encoding(exchange.head)
        check_declared_length(request.content_length, exchange.body_limit_bytes)
        return await handler(request)

    return [observe, render_errors, guard, settle, limit]


@web.middleware
async def settle(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Hand a request on a path that several dialects claim to the one whose it is."""
    claim = registry_of(request).claim_of(request)
    if claim.rivals:
        await _settle(request, claim)
    return await handler(request)


@web.middleware
async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count what asks a model for text, and refuse what is too much of it."""
    exchange = exchange_of(request)
    is_limited = exchange.route is not None and exchange.route.generates
    if is_limited and not exchange.identity.is_admin:
        context_of(request).limits.take(exchange.dialect.name, exchange.identity.client)
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Complete the headers of every answer, streams included; a signal handler of the application."""
    response.headers.update(
        {
            "Server": "puna",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Vary": ", ".join(filter(None, (response.headers.get("Vary"), "Origin"))),
        }
    )
    exchange = find_exchange(request)
    if exchange is not None:
        response.headers.update(_headers_of(exchange))


def _headers_of(exchange: Exchange) -> dict[str, str]:
    headers = {}
    if exchange.allowed_origin is not None:
        headers["Access-Control-Allow-Origin"] = exchange.allowed_origin
        headers["Access-Control-Expose-Headers"] = _READABLE
    if exchange.dialect.tells_timing:
        headers["X-Process-Time"] = f"{exchange.duration_s:.4f}"
        headers["X-Request-Count"] = str(exchange.number)
    if exchange.dialect.request_id_header is not None:
        headers[exchange.dialect.request_id_header] = exchange.head.request_id
    return headers


def _identify(exchange: Exchange, claim: Claim, context: Context) -> None:
    """Find out who asks. Raises `UnauthenticatedError` or `ForbiddenError` when the route is not for them."""
    caller = find_caller(exchange.head, context.keys.find, context.admin_token)
    if caller.key is not None:
        context.keys.note_use(caller.key)
    if exchange.head.is_preflight:
        check_preflight(caller, exchange.allowed_origin)
    else:
        exchange.identity = _admit_somewhere(caller, claim, context)


def _admit_somewhere(caller: Caller, claim: Claim, context: Context) -> Identity:
    """Let pass whom the owner of the route or one of its rivals lets in. Raises why the owner does not."""
    try:
        return admit(caller, _rules_of(claim, context))
    except (UnauthenticatedError, ForbiddenError):
        for rival in claim.rivals:
            with suppress(UnauthenticatedError, ForbiddenError):
                return admit(caller, _rules_of(rival, context))
        raise


async def _settle(request: web.Request, claim: Claim) -> None:
    """Hand a request to the dialect whose it is, and decide again whether it is for who asks."""
    exchange, context = exchange_of(request), context_of(request)
    exchange.early_body = await read_body(request)
    claim = claim.settle(exchange.head, names_of_fields(exchange.early_body))
    exchange.dialect, exchange.route = claim.dialect, claim.route
    caller = find_caller(exchange.head, context.keys.find, context.admin_token)
    exchange.identity = admit(caller, _rules_of(claim, context))


def _rules_of(claim: Claim, context: Context) -> AccessRules:
    return AccessRules(
        access=claim.dialect.access,
        scope=claim.route.scope if claim.route is not None else None,
        is_open=claim.dialect.name in context.settings.open_dialects,
        dialect=claim.dialect.name,
        key_variable=claim.dialect.key_variable,
    )


def _begin(request: web.Request, registry: Registry) -> Exchange:
    context = context_of(request)
    claim = registry.claim_of(request)
    route = claim.route
    context.activity.begin(is_counted=route is None or route.is_counted)
    exchange = Exchange(
        head=head_of(request),
        dialect=claim.dialect,
        route=route,
        body_limit_bytes=(route and route.body_limit_bytes) or context.settings.body_limit_bytes,
        number=context.activity.request_count,
    )
    begin_exchange(request, exchange)
    return exchange


def _end(request: web.Request, exchange: Exchange, status: int) -> None:
    if status == CLIENT_LEFT or exchange.has_left:
        status = 200 if exchange.is_complete else CLIENT_LEFT
    request.app[BODY_ROOM].leave(exchange)
    context_of(request).activity.end(exchange.dialect.name, status, exchange.usage)
    level = logging.DEBUG if _is_routine(exchange, status) else logging.INFO
    _access_log.log(level, "%s", _line(exchange, status))


def _is_routine(exchange: Exchange, status: int) -> bool:
    """Whether it is one of the looks that Puna's own programs take all the time."""
    is_own = exchange.dialect.access is Access.ADMIN and exchange.head.method == "GET"
    return is_own and status < web.HTTPBadRequest.status_code


def _line(exchange: Exchange, status: int) -> str:
    return access_line(
        exchange.head.method,
        exchange.head.path,
        dialect=exchange.dialect.name,
        status=status,
        time_s=exchange.duration_s,
        usage=exchange.usage if exchange.usage != Usage() else None,
        note=_note(exchange, status),
    )


def _note(exchange: Exchange, status: int) -> str:
    if status == CLIENT_LEFT:
        return "client left"
    return exchange.stream_error.message if exchange.stream_error is not None else ""


def _error_response(exchange: Exchange, error: PunaError) -> web.Response:
    reply = exchange.dialect.render_error(error, exchange.head)
    response = web.Response(
        body=reply.body, status=reply.status, headers=reply.headers, content_type="application/json"
    )
    if isinstance(error, BodyTooLargeError | BodyStalledError | BodyRoomError):
        response.force_close()
    return response


def _preflight_response(exchange: Exchange, methods: set[str]) -> web.Response:
    headers = {
        "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
        "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_S),
        "Vary": "Access-Control-Request-Headers",
    }
    wanted = exchange.head.header("Access-Control-Request-Headers")
    if wanted:
        headers["Access-Control-Allow-Headers"] = wanted
    if exchange.head.header("Access-Control-Request-Private-Network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=204, headers=headers)
