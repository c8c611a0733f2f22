"""Dialects on one port: who owns a path, and that nobody takes what another has."""

import dataclasses
from pathlib import Path

import pytest
from aiohttp import web

from fakes.running_daemon import run_daemon
from puna.api.dialect import Access, Dialect, Route, dialect_of_path
from puna.api.errors import render_default_error
from puna.api.head import RequestHead, make_headers
from puna.api.registry import Claim, Registry
from puna.app import DIALECTS
from puna.config import Settings
from puna.errors import ConfigError


async def answer(_: web.Request) -> web.Response:
    return web.Response()


def dialect(name: str, *prefixes: str) -> Dialect:
    return Dialect(
        name=name,
        access=Access.THIS_MACHINE,
        prefixes=prefixes,
        routes=tuple(Route(method="GET", path=prefix, handler=answer) for prefix in prefixes),
        render_error=render_default_error,
    )


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/v1", "a"),
        ("/v1/nope", "a"),
        ("/v1/text/nope", "b"),
        ("/v1/texts", "a"),
        ("/v10", None),
        ("/", None),
        ("/V1", None),
    ],
)
def test_the_longest_prefix_owns_a_path(path: str, owner: str | None) -> None:
    found = dialect_of_path(path, (dialect("a", "/v1"), dialect("b", "/v1/text")))
    assert (found.name if found else None) == owner


def test_a_part_of_a_route_is_claimed_of_its_owner() -> None:
    part = Route(method="GET", path="/v1", handler=answer, claims=lambda _, fields: "mine" in fields)
    guest = dataclasses.replace(dialect("b"), routes=(part,))
    Registry((dialect("a", "/v1"), guest)).add_routes(web.UrlDispatcher())
    with pytest.raises(RuntimeError, match="/v1"):
        Registry((dialect("a", "/v2"), guest)).add_routes(web.UrlDispatcher())


def test_a_request_goes_to_the_claimant_and_else_to_the_owner() -> None:
    head = RequestHead(method="GET", path="/v1", headers=make_headers({}))
    part = Route(method="GET", path="/v1", handler=answer, claims=lambda _, fields: "mine" in fields)
    owner, guest = dialect("a", "/v1"), dialect("b")
    claim = Claim(owner, owner.routes[0], (Claim(guest, part),))
    assert claim.settle(head, {"mine"}).dialect is guest
    assert claim.settle(head, {"yours"}) is claim


def test_two_dialects_cannot_claim_one_route() -> None:
    registry = Registry((dialect("a", "/v1"), dialect("b", "/v1")))
    with pytest.raises(RuntimeError, match="GET"):
        registry.add_routes(web.UrlDispatcher())


async def test_an_application_open_to_other_machines_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key"):
        async with run_daemon(tmp_path, settings=Settings(host="0.0.0.0")):
            pass


def test_every_route_lies_below_a_prefix_of_its_dialect() -> None:
    for each in DIALECTS:
        for route in each.routes:
            if route.path != "/" and route.claims is None:
                assert dialect_of_path(route.path, DIALECTS) is each, route.path
