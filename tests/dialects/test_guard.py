"""From where a request may come."""

from contextlib import nullcontext as does_not_raise

import pytest

from puna.api.guard import GuardPolicy, check_bind, check_content_type, check_source, is_from_this_machine
from puna.api.head import RequestHead, make_headers
from puna.errors import ConfigError, ForbiddenError, UnsupportedMediaTypeError

POLICY = GuardPolicy.of_settings(("Box.Lan.",), ("https://App.Example.org/",))


def head(
    method: str = "GET", peer: str = "127.0.0.1", local: str = "127.0.0.1", **headers: str
) -> RequestHead:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead(
        method=method,
        path="/generate",
        headers=make_headers({"Host": "localhost:8000"} | named),
        peer_address=peer,
        local_address=local,
        local_port=8000,
    )


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LOCALHOST:8000",
        "localhost.:8000",
        "puna.localhost:8000",
        "127.0.0.1:8000",
        "127.0.0.1:9999",
        "127.1.2.3",
        "[::1]:8000",
        "[::1]",
        "box.lan:8000",
        "BOX.lan",
    ],
)
def test_a_name_of_this_machine_is_let_in(host: str) -> None:
    assert check_source(head(Host=host), POLICY) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "192.168.1.7:8000",
        "[fe80::1]:8000",
        "",
        "0.0.0.0:8000",
        "localhost@evil.example",
        "box.lan.evil.example",
    ],
)
def test_a_rebound_name_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenError, match="Host header"):
        check_source(head(Host=host), POLICY)


def test_the_address_that_was_connected_to_is_a_known_name() -> None:
    assert check_source(head(Host="192.168.1.7:8000", local="192.168.1.7"), POLICY) is None
    assert check_source(head(Host="[fe80::1]", local="fe80::1%eth0"), POLICY) is None


def test_a_request_without_a_host_is_refused() -> None:
    nameless = RequestHead(method="GET", path="/", headers=make_headers({}), peer_address="127.0.0.1")
    with pytest.raises(ForbiddenError, match="missing"):
        check_source(nameless, POLICY)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "http://puna.localhost:8000",
        "https://app.example.org",
    ],
)
def test_pages_of_this_machine_and_of_the_setting_may_read_the_answer(origin: str) -> None:
    request = head("POST", Origin=origin, Content_Type="application/json")
    assert check_source(request, POLICY) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost:3000",
        "http://localhost",
        "null",
        "file://",
        "https://app.example.org.evil.example",
        "https://app.example.org:8443",
        "http://app.example.org",
        "http://localhost:8000.evil.example",
        "http://localhost:99999",
        "chrome-extension://localhost:8000",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_other_sites_are_refused_by_name(origin: str, method: str) -> None:
    with pytest.raises(ForbiddenError, match="may not use this daemon") as refused:
        check_source(head(method, Origin=origin, Content_Type="application/json"), POLICY)
    assert origin in refused.value.message
    assert "allowed_origins" in refused.value.message


def test_a_request_of_another_site_without_an_origin_is_refused() -> None:
    with pytest.raises(ForbiddenError):
        check_source(head(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors"), POLICY)


def test_a_link_from_another_site_may_be_followed() -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert check_source(head(**link), POLICY) is None
    with pytest.raises(ForbiddenError):
        check_source(head("POST", Content_Type="application/json", **link), POLICY)
    with pytest.raises(ForbiddenError):
        check_source(head(**(link | {"Sec_Fetch_Dest": "iframe"})), POLICY)


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_page_cannot_send_what_needs_no_permission(media_type: str) -> None:
    form = head("POST", Origin="http://localhost:8000", Content_Type=media_type)
    with pytest.raises(UnsupportedMediaTypeError, match="application/json"):
        check_content_type(form, takes_multipart=False)


def test_a_page_may_send_json_and_files_where_a_route_takes_them() -> None:
    json = head("POST", Sec_Fetch_Site="same-origin", Content_Type="application/json; charset=utf-8")
    files = head("POST", Origin="http://localhost:8000", Content_Type="multipart/form-data; boundary=x")
    with does_not_raise():
        check_content_type(json, takes_multipart=False)
        check_content_type(files, takes_multipart=True)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_program_may_send_any_content_type(media_type: str) -> None:
    with does_not_raise():
        check_content_type(head("POST", Content_Type=media_type), takes_multipart=False)


@pytest.mark.parametrize("peer", ["192.168.1.9", "8.8.8.8", "fe80::1", "::ffff:10.0.0.1", "not an address"])
def test_other_machines_are_told_apart(peer: str) -> None:
    assert not is_from_this_machine(head(peer=peer))


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_this_machine_in_every_spelling(peer: str) -> None:
    assert is_from_this_machine(head(peer=peer))


def test_what_a_proxy_passes_on_comes_from_where_it_says() -> None:
    assert is_from_this_machine(head(X_Forwarded_For="127.0.0.1, ::1"))
    assert not is_from_this_machine(head(X_Forwarded_For="203.0.113.7"))
    assert not is_from_this_machine(head(X_Forwarded_For="127.0.0.1, 203.0.113.7"))
    assert not is_from_this_machine(head(X_Forwarded_For="unknown"))
    assert not is_from_this_machine(head(Forwarded="for=127.0.0.1"))
    assert not is_from_this_machine(head(Via="1.1 proxy"))
    assert not is_from_this_machine(head(X_Real_IP="203.0.113.7"))
    assert not is_from_this_machine(head(X_Forwarded_For="127.0.0.1", CF_Connecting_IP="203.0.113.7"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "127.0.0.53"])
def test_loopback_may_be_bound(host: str) -> None:
    with does_not_raise():
        check_bind(host, has_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7"])
def test_nothing_else_may_be_bound_without_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match=host) as refused:
        check_bind(host, has_keys=False)
    assert "puna keys create" in refused.value.message
    check_bind(host, has_keys=True)
