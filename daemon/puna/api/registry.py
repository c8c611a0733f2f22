"""Which dialect owns which route. A route that no dialect claims does not exist for clients."""

from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from puna.api.body import leave_uninvited
from puna.api.claimants import answer_as_settled
from puna.api.dialect import Access, Dialect, Route, dialect_of_path
from puna.api.errors import render_default_error
from puna.api.head import RequestHead

UNCLAIMED = Dialect(
    name="-", access=Access.THIS_MACHINE, routes=(), prefixes=(), render_error=render_default_error
)
"""Answers for paths that belong to no dialect."""


@dataclass(frozen=True)
class Claim:
    """A route and its owner; no route where the path, or the method for it, does not exist."""

    dialect: Dialect
    route: Route | None
    rivals: tuple["Claim", ...] = ()
    """What other dialects serve on the same method and path, each with a `Route.claims`."""

    def settle(self, head: RequestHead, fields: Collection[str]) -> "Claim":
        """Return the rival whose request this is, else this claim."""
        for rival in self.rivals:
            if rival.route and rival.route.claims and rival.route.claims(head, fields):
                return rival
        return self


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
        """Put every route of every dialect on the router.

        Raises `RuntimeError` when two claim one whole, or one a part of what nobody owns.
        """
        rivals = self._collect_rivals()
        for dialect in self._dialects:
            for route in dialect.routes:
                if route.claims is None:
                    self._add(router, dialect, route, rivals.pop((route.method, route.path), ()))
        if rivals:
            raise RuntimeError(f"No dialect owns the routes {sorted(rivals)}, which others claim in part.")

    def _collect_rivals(self) -> dict[tuple[str, str], tuple[Claim, ...]]:
        rivals: dict[tuple[str, str], tuple[Claim, ...]] = {}
        for dialect in self._dialects:
            for route in dialect.routes:
                if route.claims is not None:
                    place = (route.method, route.path)
                    rivals[place] = (*rivals.get(place, ()), Claim(dialect, route))
        return rivals

    def _add(
        self, router: web.UrlDispatcher, dialect: Dialect, route: Route, rivals: tuple[Claim, ...]
    ) -> None:
        handler = answer_as_settled if rivals else route.handler
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            added = router.add_route(method, route.path, handler, expect_handler=leave_uninvited)
            self._claims[added] = Claim(dialect, route, rivals)

    def claim_of(self, request: web.Request) -> Claim:
        """Return who answers this request; by the path alone where no route does."""
        claim = self._claims.get(request.match_info.route)
        return claim or Claim(dialect_of_path(request.path, self._dialects) or UNCLAIMED, None)


REGISTRY: web.AppKey[Registry] = web.AppKey("registry")


def registry_of(request: web.Request) -> Registry:
    """Return the dialects of this application."""
    return request.app[REGISTRY]
