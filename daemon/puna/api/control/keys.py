"""Keys and organisations: list, make, revoke."""

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.control.schema import (
    CREATE_KEY,
    CREATE_ORGANISATION,
    FirstKeyReply,
    KeysReply,
    OrganisationsReply,
)
from puna.api.responses import json_response
from puna.keys.records import KeyWish

_NOT_KEPT = {"Cache-Control": "no-store"}


async def list_keys(request: web.Request) -> web.Response:
    """GET /puna/v1/keys: all keys, without their secrets."""
    return json_response(KeysReply(keys=context_of(request).keys.keys))


async def create_key(request: web.Request) -> web.Response:
    """POST /puna/v1/keys: makes a key; the only answer that ever holds its secret."""
    body = CREATE_KEY.parse(await read_body(request))
    wish = KeyWish(name=body.name, organisation=body.organisation, scopes=body.scopes)
    return _secret_response(await context_of(request).keys.create(wish), status=201)


async def create_first_key(request: web.Request) -> web.Response:
    """POST /puna/v1/keys/first: makes the key that the first start shows; null when there has been a key."""
    return _secret_response(FirstKeyReply(made=await context_of(request).keys.create_first()))


async def revoke_key(request: web.Request) -> web.Response:
    """DELETE /puna/v1/keys/{key_id}: revokes a key."""
    return json_response(await context_of(request).keys.revoke(request.match_info["key_id"]))


async def list_organisations(request: web.Request) -> web.Response:
    """GET /puna/v1/organisations: all of them."""
    return json_response(OrganisationsReply(organisations=context_of(request).keys.organisations))


async def create_organisation(request: web.Request) -> web.Response:
    """POST /puna/v1/organisations: makes one."""
    body = CREATE_ORGANISATION.parse(await read_body(request))
    return json_response(await context_of(request).keys.create_organisation(body.name), status=201)


def _secret_response(value: object, *, status: int = 200) -> web.Response:
    response = json_response(value, status=status)
    response.headers.update(_NOT_KEPT)
    return response
