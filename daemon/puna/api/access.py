"""Who asks, and whether the route is for them: pure decisions, made before the body is read.

| from              | with                 | on an open dialect | elsewhere                       |
|-------------------|----------------------|--------------------|---------------------------------|
| this machine      | no key, unknown key  | passes             | 401                             |
| this machine      | a key                | passes, as the key | passes with the scope, else 403 |
| this machine      | the admin token      | passes             | passes                          |
| another machine   | no key, unknown key  | 401                | 401                             |
| another machine   | a key                | passes with the scope, else 403                      |

A program on this machine that asks over another address than loopback counts as another machine, but for its admin
token: with it the command line reaches a daemon that listens on an address of the network only.

An unknown key passes on an open dialect because clients send placeholders there, such as `ollama`.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from puna.api.dialect import Access
from puna.api.guard import is_from_this_machine, is_sent_here
from puna.api.head import RequestHead
from puna.errors import ForbiddenError, UnauthenticatedError
from puna.keys.identity import ADMIN, LOCAL, Identity, Scope
from puna.keys.records import Key

FindKey = Callable[[str], Key | None]
"""Returns the key with a secret; does not block."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What the head of a request tells of its sender."""

    is_local: bool
    """Whether it comes from a program on this machine, over loopback."""
    has_credentials: bool = False
    """Whether it sends anything in the place of a key."""
    is_admin: bool = False
    """Whether it sends the admin token, and from this machine, over whatever address the daemon listens on."""
    key: Key | None = None
    """The key that it sends, if it is one that holds."""


@dataclass(frozen=True, kw_only=True)
class AccessRules:
    """What is asked of the sender."""

    access: Access
    scope: Scope | None
    """None where any key will do."""
    is_open: bool
    """Whether the settings open the dialect to this machine."""
    dialect: str = ""
    """The dialect's name in the setting `open_dialects`."""
    key_variable: str | None = None
    """The environment variable from which the dialect's own clients take a key."""


def find_caller(head: RequestHead, find_key: FindKey, admin_token: str) -> Caller:
    """Return who sends this, by the keys in its head. The first one that holds counts."""
    credentials = credentials_of(head)
    return Caller(
        is_local=is_from_this_machine(head),
        has_credentials=bool(credentials),
        is_admin=is_sent_here(head) and any(_is_token(each, admin_token) for each in credentials),
        key=next(filter(None, map(find_key, credentials)), None),
    )


def credentials_of(head: RequestHead) -> list[str]:
    """Return what stands as a bearer token and as `X-Api-Key`; every API takes both."""
    found = [each.strip() for each in head.headers_named("X-Api-Key")]
    for header in head.headers_named("Authorization"):
        scheme, _, token = header.strip().partition(" ")
        if scheme.lower() == "bearer":
            found.append(token.strip())
    return [each for each in found if each]


def admit(caller: Caller, rules: AccessRules) -> Identity:
    """Return who passes, or raise why not: `UnauthenticatedError` (401) or `ForbiddenError` (403)."""
    if caller.is_admin:
        return ADMIN
    is_open = caller.is_local and _is_open(rules)
    if caller.key is None:
        if not is_open:
            raise UnauthenticatedError(_what_is_missing(caller, rules))
        return LOCAL
    scope = _needed_scope(rules)
    if not is_open and scope is not None and scope not in caller.key.scopes:
        raise ForbiddenError(
            f"This needs a key with the scope {scope}; this one has {', '.join(caller.key.scopes)}."
        )
    return _identity_of(caller.key, may_everything=is_open)


def check_preflight(caller: Caller, allowed_origin: str | None) -> None:
    """Let a browser ask for permission without a key, which it never sends then: if a page may call at all.

    Raises `UnauthenticatedError` for other machines' questions that name no page.
    """
    if not caller.is_local and allowed_origin is None:
        raise UnauthenticatedError("Requests from other machines need a key.")


def _is_open(rules: AccessRules) -> bool:
    return rules.access is Access.THIS_MACHINE or (rules.access is Access.KEYED and rules.is_open)


def _needed_scope(rules: AccessRules) -> Scope | None:
    """What is for the admin is never for a key that may only infer, even where a route forgot to say so."""
    if rules.access is Access.ADMIN and rules.scope is not Scope.TRAIN:
        return Scope.MANAGE
    return rules.scope


def _identity_of(key: Key, *, may_everything: bool) -> Identity:
    return Identity(
        key_id=key.id,
        organisation_id=key.organisation_id,
        scopes=frozenset(Scope if may_everything else key.scopes),
        client=key.id,
    )


def _what_is_missing(caller: Caller, rules: AccessRules) -> str:
    if rules.access is Access.ADMIN and caller.is_local:
        return "This route needs the admin token of the running daemon, or a key with the scope manage."
    if caller.has_credentials:
        problem = "This key is not known, or it was revoked"
    else:
        problem = "This API needs a key" if caller.is_local else "Requests from other machines need a key"
    return f"{problem}: {_ways_in(caller, rules)}."


def _ways_in(caller: Caller, rules: AccessRules) -> str:
    through = f" (clients of this API take it from {rules.key_variable})" if rules.key_variable else ""
    with_key = f"`puna keys create` makes one, to be sent as a bearer token or in X-Api-Key{through}"
    if not caller.is_local or rules.access is not Access.KEYED:
        return with_key
    return f"{with_key}; or add {rules.dialect} to the setting open_dialects, so that this machine needs none"


def _is_token(credential: str, admin_token: str) -> bool:
    """Compare in constant time. A header may hold any bytes."""
    sent = credential.encode("utf-8", "surrogateescape")
    return bool(admin_token) and hmac.compare_digest(sent, admin_token.encode())
