"""Which dialect owns which route. A route that no dialect claims does not exist for clients."""

from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from puna.api.body import leave_uninvited
from puna.api.dialect import Access, Dialect, Route, dialect_of_path
from puna.api.errors import render_default_error

UNCLAIMED = Dialect(
    name="-", access=Access.THIS_MACHINE, routes=(), prefixes=(), render_error=render_default_error
)
"""Answers for paths that belong to no dialect."""


@dataclass(frozen=True)
class Claim:
    """A route and its owner; no route where the path, or the method for it, does not exist."""

    dialect: Dialect
    route: Route | None


class Registry:
    """All dialects of one application."""

    def __init__(self, dialects: tuple[Dialect, ...]) -> None:
        self._dialects = dialects
        self._claims: dict[AbstractRoute, Claim] = {}

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """In the order of the application."""
        return self._dialects

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Put every route of every dialect on the router. Raises `RuntimeError` when two claim one."""
        for dialect in self._dialects:
            for route in dialect.routes:
                for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
                    added = router.add_route(
                        method, route.path, route.handler, expect_handler=leave_uninvited
                    )
                    self._claims[added] = Claim(dialect, route)

    def claim_of(self, request: web.Request) -> Claim:
        """Return who answers this request; by the path alone where no route does."""
        claim = self._claims.get(request.match_info.route)
        return claim or Claim(dialect_of_path(request.path, self._dialects) or UNCLAIMED, None)


REGISTRY: web.AppKey[Registry] = web.AppKey("registry")


def registry_of(request: web.Request) -> Registry:
    """Return the dialects of this application."""
    return request.app[REGISTRY]
