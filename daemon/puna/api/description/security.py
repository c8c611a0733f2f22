"""Which keys an operation asks for."""

from collections.abc import Collection, Mapping

from puna.api.description.replies import SecurityScheme
from puna.api.dialect import Access, Dialect, Route
from puna.keys.identity import Scope

SCHEMES: Mapping[str, SecurityScheme] = {
    "bearer": SecurityScheme(
        type="http",
        scheme="bearer",
        description="A key as a bearer token; `puna keys create` makes one.",
    ),
    "apiKey": SecurityScheme(
        type="apiKey", place="header", name="X-Api-Key", description="The same key in a header of its own."
    ),
}

Alternative = Mapping[str, tuple[str, ...]]


def is_open(dialect: Dialect, open_dialects: Collection[str]) -> bool:
    """Whether programs on this machine need no key."""
    return dialect.access is Access.THIS_MACHINE or (
        dialect.access is Access.KEYED and dialect.name in open_dialects
    )


def alternatives_of(dialect: Dialect, route: Route, open_dialects: Collection[str]) -> list[Alternative]:
    """Return what a sender may show, any of it; an empty alternative is nothing, for programs on this machine.

    The scopes that a key needs stand as roles.
    """
    scope = Scope.MANAGE if dialect.access is Access.ADMIN and route.scope is None else route.scope
    roles = (scope.value,) if scope is not None else ()
    keyed: list[Alternative] = [{name: roles} for name in SCHEMES]
    return [{}, *keyed] if is_open(dialect, open_dialects) else keyed


def describe_access(dialect: Dialect, open_dialects: Collection[str]) -> str:
    """Return who may use an API, in a sentence."""
    if dialect.access is Access.ADMIN:
        return "Needs a key with the scope manage, or the admin token of the running daemon."
    if is_open(dialect, open_dialects):
        return "Needs no key on this machine."
    return "Needs a key."
