"""Who passes: every sort of sender before every sort of route."""

from collections.abc import Callable

import pytest

from puna.api.access import (
    AccessRules,
    Caller,
    admit,
    check_preflight,
    credentials_of,
    find_caller,
)
from puna.api.dialect import Access
from puna.api.head import RequestHead, make_headers
from puna.errors import ForbiddenError, UnauthenticatedError
from puna.keys.identity import THIS_MACHINE, Identity, Scope
from puna.keys.records import Key

TOKEN = "s3cret"
OPEN = AccessRules(access=Access.KEYED, scope=Scope.INFER, is_open=True)
CLOSED = AccessRules(access=Access.KEYED, scope=Scope.INFER, is_open=False)
MANAGED = AccessRules(access=Access.KEYED, scope=Scope.MANAGE, is_open=False)
ADMIN = AccessRules(access=Access.ADMIN, scope=Scope.MANAGE, is_open=False)
METRICS = AccessRules(access=Access.THIS_MACHINE, scope=Scope.MANAGE, is_open=False)
ANY_KEY = AccessRules(access=Access.KEYED, scope=None, is_open=False)


def key(*scopes: Scope) -> Key:
    return Key(id="key_1", name="k", organisation_id="org_1", scopes=scopes, hint="puna_abcd", created_at=0)


KEYS = {"puna_infer": key(Scope.INFER), "puna_manage": key(Scope.MANAGE), "puna_train": key(Scope.TRAIN)}


def head(peer: str = "127.0.0.1", local: str = "127.0.0.1", **headers: str) -> RequestHead:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead(
        method="POST",
        path="/x",
        headers=make_headers({"Host": "localhost"} | named),
        peer_address=peer,
        local_address=local,
    )


def ask(rules: AccessRules, peer: str = "127.0.0.1", **headers: str) -> Identity:
    return admit(find_caller(head(peer, **headers), KEYS.get, TOKEN), rules)


BEARER: Callable[[str], dict[str, str]] = lambda secret: {"Authorization": f"Bearer {secret}"}  # noqa: E731
X_API_KEY: Callable[[str], dict[str, str]] = lambda secret: {"X_Api_Key": secret}  # noqa: E731


@pytest.mark.parametrize("headers", [{}, BEARER("ollama"), X_API_KEY("lm-studio"), BEARER("puna_unknown")])
def test_an_open_dialect_takes_programs_of_this_machine_with_any_placeholder(headers: dict[str, str]) -> None:
    identity = ask(OPEN, **headers)
    assert (identity.key_id, identity.client, identity.is_admin) == (None, THIS_MACHINE, False)
    assert identity.may(Scope.MANAGE)
    assert identity.may_use("org_of_anybody")


@pytest.mark.parametrize("rules", [CLOSED, MANAGED, ANY_KEY, ADMIN])
@pytest.mark.parametrize("headers", [{}, BEARER("ollama"), X_API_KEY(""), BEARER("puna_unknown")])
def test_everything_else_asks_for_a_key(rules: AccessRules, headers: dict[str, str]) -> None:
    with pytest.raises(UnauthenticatedError, match="key"):
        ask(rules, **headers)


@pytest.mark.parametrize("headers", [BEARER("puna_infer"), X_API_KEY("puna_infer")])
@pytest.mark.parametrize("rules", [OPEN, CLOSED, ANY_KEY])
def test_a_key_is_taken_from_both_headers(rules: AccessRules, headers: dict[str, str]) -> None:
    identity = ask(rules, **headers)
    assert (identity.key_id, identity.organisation_id, identity.client) == ("key_1", "org_1", "key_1")
    assert identity.may_use("org_1")
    assert not identity.may_use("org_2")


def test_the_key_that_holds_counts_when_two_are_sent() -> None:
    assert ask(CLOSED, Authorization="Bearer sk-placeholder", X_Api_Key="puna_infer").key_id == "key_1"
    assert ask(CLOSED, Authorization="Bearer puna_infer", X_Api_Key="placeholder").key_id == "key_1"


@pytest.mark.parametrize(
    ("rules", "secret"),
    [(CLOSED, "puna_manage"), (CLOSED, "puna_train"), (MANAGED, "puna_infer"), (ADMIN, "puna_infer")],
)
@pytest.mark.parametrize("peer", ["127.0.0.1", "192.168.1.9"])
def test_a_key_without_the_scope_is_refused_by_name(rules: AccessRules, secret: str, peer: str) -> None:
    with pytest.raises(ForbiddenError, match=f"scope {rules.scope}"):
        ask(rules, peer, **BEARER(secret))


@pytest.mark.parametrize("scope", [None, Scope.INFER])
def test_an_admin_route_that_forgot_its_scope_is_closed_all_the_same(scope: Scope | None) -> None:
    forgetful = AccessRules(access=Access.ADMIN, scope=scope, is_open=True)
    with pytest.raises(ForbiddenError, match="scope manage"):
        ask(forgetful, **BEARER("puna_infer"))
    assert ask(forgetful, **BEARER("puna_manage")).key_id == "key_1"


def test_a_key_may_do_on_an_open_dialect_what_nobody_may() -> None:
    assert ask(OPEN, **BEARER("puna_train")).may(Scope.INFER)


@pytest.mark.parametrize("rules", [OPEN, CLOSED, MANAGED, ADMIN, METRICS, ANY_KEY])
@pytest.mark.parametrize("headers", [{}, BEARER("ollama"), BEARER(TOKEN), X_API_KEY(TOKEN)])
@pytest.mark.parametrize("source", [{"peer": "192.168.1.9"}, {"X_Forwarded_For": "203.0.113.7"}])
def test_other_machines_need_a_key_everywhere(
    rules: AccessRules, headers: dict[str, str], source: dict[str, str]
) -> None:
    with pytest.raises(UnauthenticatedError, match="key"):
        ask(rules, **source, **headers)


@pytest.mark.parametrize(("rules", "secret"), [(OPEN, "puna_infer"), (METRICS, "puna_manage")])
def test_other_machines_get_in_with_a_key_and_no_further_than_its_scopes(
    rules: AccessRules, secret: str
) -> None:
    identity = ask(rules, "192.168.1.9", **BEARER(secret))
    assert identity.scopes == set(KEYS[secret].scopes)


@pytest.mark.parametrize("rules", [OPEN, CLOSED, MANAGED, ADMIN, METRICS])
@pytest.mark.parametrize(
    "headers", [BEARER(TOKEN), {"Authorization": f"bearer   {TOKEN}"}, X_API_KEY(TOKEN)], ids=str
)
def test_the_admin_token_opens_everything_on_this_machine(
    rules: AccessRules, headers: dict[str, str]
) -> None:
    identity = ask(rules, **headers)
    assert identity.is_admin
    assert all(identity.may(scope) for scope in Scope)
    assert identity.may_use("org_of_anybody")


@pytest.mark.parametrize("address", ["192.168.1.5", "fd00::2", "fe80::2%eth0"])
def test_the_admin_token_holds_where_the_daemon_listens_on_another_address_of_this_machine(
    address: str,
) -> None:
    from_here = find_caller(head(address, address, **BEARER(TOKEN)), KEYS.get, TOKEN)
    assert admit(from_here, ADMIN).is_admin
    with pytest.raises(UnauthenticatedError):
        admit(find_caller(head(address, address), KEYS.get, TOKEN), OPEN)


@pytest.mark.parametrize(
    ("peer", "headers"),
    [("192.168.1.9", {}), ("not an address", {}), ("192.168.1.5", {"X_Forwarded_For": "192.168.1.9"})],
)
def test_the_admin_token_is_worth_nothing_on_another_machine(peer: str, headers: dict[str, str]) -> None:
    caller = find_caller(head(peer, "192.168.1.5", **BEARER(TOKEN), **headers), KEYS.get, TOKEN)
    with pytest.raises(UnauthenticatedError):
        admit(caller, ADMIN)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}2"]
)
def test_what_is_not_quite_the_admin_token_opens_nothing(header: str) -> None:
    with pytest.raises(UnauthenticatedError, match="admin token"):
        ask(ADMIN, Authorization=header)


def test_an_empty_admin_token_opens_nothing() -> None:
    caller = find_caller(head(Authorization="Bearer "), KEYS.get, "")
    with pytest.raises(UnauthenticatedError):
        admit(caller, ADMIN)


def test_bytes_that_are_no_text_are_an_unknown_key() -> None:
    with pytest.raises(UnauthenticatedError):
        ask(CLOSED, Authorization="Bearer caf\udce9")


def test_credentials_are_read_from_repeated_headers() -> None:
    assert credentials_of(head(X_Api_Key=" a ", Authorization="BEARER b")) == ["a", "b"]
    assert credentials_of(head(Authorization="Basic b")) == []


def test_a_page_elsewhere_may_ask_for_permission_only_if_it_may_call() -> None:
    check_preflight(Caller(is_local=True), None)
    check_preflight(Caller(is_local=False), "https://app.example.org")
    with pytest.raises(UnauthenticatedError):
        check_preflight(Caller(is_local=False), None)


def test_nobody_may_use_nothing() -> None:
    assert not Identity().may(Scope.INFER)
    assert not Identity().may_use("org_1")
