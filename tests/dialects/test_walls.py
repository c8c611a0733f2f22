"""The guard stands before every route of the running daemon."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon
from puna.api.middleware import PREFLIGHT_MAX_AGE_S
from puna.config import Settings

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
FOREIGN = "https://evil.example"


def routes_of(app: web.Application) -> Iterator[tuple[str, str]]:
    """Yield method and path of everything that is registered, and of things that are not."""
    for route in app.router.routes():
        assert route.resource is not None
        yield route.method, route.resource.canonical.replace("{model_id}", "demo")
    yield "GET", "/no/such/path"
    yield "POST", "/models/current"


async def test_a_rebound_name_gets_nowhere(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    for method, path in routes_of(daemon.app):
        async with client.request(method, path, headers=ADMIN | {"Host": "evil.example"}) as answer:
            assert answer.status == 403, path
            assert method == "HEAD" or "allowed_hosts" in (await answer.json())["detail"]


@pytest.mark.parametrize(
    "headers", [{"Origin": FOREIGN}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
async def test_a_foreign_page_gets_nowhere(
    daemon: RunningDaemon, client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    for method, path in routes_of(daemon.app):
        async with client.request(method, path, json={"prompt": "x"}, headers=ADMIN | headers) as answer:
            assert answer.status == 403, path
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert daemon.worker.requests == []
    assert daemon.stops == []


async def test_a_foreign_page_is_refused_before_its_body_is_read(daemon: RunningDaemon) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    writer.write(
        b"POST /generate HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    assert b" 403 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_form_of_a_page_gets_nowhere(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    for method, path in routes_of(daemon.app):
        if method == "POST":
            headers = ADMIN | {"Origin": daemon.url, "Content-Type": "text/plain"}
            async with client.post(path, data=b'{"prompt":"x"}', headers=headers) as answer:
                assert answer.status == 415, path
    assert daemon.stops == []


async def test_every_route_belongs_to_a_dialect_or_does_not_exist(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    claimed = {path for _, path in routes_of(daemon.app)}
    assert {"/generate", "/metrics", "/puna/v1/status", "/"} <= claimed
    async with client.get("/forgotten") as answer:
        assert (answer.status, await answer.json()) == (404, {"detail": "Not Found", "error": "Not Found"})


async def test_a_route_that_no_dialect_claims_does_not_answer(tmp_path: Path) -> None:
    async def leak(_: web.Request) -> web.Response:
        return web.Response(text="secret")

    def forget(app: web.Application) -> None:
        app.router.add_get("/debug", leak)

    async with (
        run_daemon(tmp_path, tamper=forget) as daemon,
        daemon.client() as client,
        client.get("/debug", headers=ADMIN) as answer,
    ):
        assert (answer.status, await answer.json()) == (
            404,
            {"detail": "Not Found", "error": "Not Found"},
        )


async def test_own_pages_may_use_the_daemon(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    origin = f"http://localhost:{daemon.port}"
    async with client.post("/generate", json={"prompt": "x"}, headers={"Origin": origin}) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/api/chat"])
async def test_a_request_that_comes_back_to_where_it_began_is_refused(
    daemon: RunningDaemon, client: aiohttp.ClientSession, path: str
) -> None:
    for senders, status in ((f"other, {daemon.services.instance}", 400), ("other", 200)):
        headers = ADMIN | {"Puna-Via": senders}
        body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "stream": False}
        method = "GET" if path == "/v1/models" else "POST"
        async with client.request(
            method, path, json=body if method == "POST" else None, headers=headers
        ) as answer:
            assert answer.status == status
            assert ("leads to this Puna itself" in await answer.text()) == (status == 400)


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/v1/messages"])
async def test_a_page_can_read_the_headers_that_clients_look_for(
    daemon: RunningDaemon, client: aiohttp.ClientSession, path: str
) -> None:
    async with client.get(path, headers={"Origin": f"http://localhost:{daemon.port}"}) as answer:
        shown = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        own = {"x-request-id", "request-id", "x-process-time", "x-request-count"}
        assert own & {name.lower() for name in answer.headers} <= shown
        assert "retry-after" in shown


async def test_a_preflight_is_answered_for_own_pages_and_for_a_short_time(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    headers = {
        "Origin": f"http://localhost:{daemon.port}",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key",
    }
    async with client.options("/chat", headers=headers) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == headers["Origin"]
        assert answer.headers["Access-Control-Allow-Methods"] == "POST"
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-api-key"
        assert int(answer.headers["Access-Control-Max-Age"]) == PREFLIGHT_MAX_AGE_S <= 600
        assert "Origin" in answer.headers["Vary"]


async def test_a_page_of_a_public_site_that_is_allowed_may_reach_the_private_network(tmp_path: Path) -> None:
    settings = Settings(allowed_origins=("https://app.example.org",))
    headers = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Private-Network": "true",
    }
    async with (
        run_daemon(tmp_path, settings=settings) as daemon,
        daemon.client() as client,
        client.options("/generate", headers=headers) as answer,
    ):
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
        assert "Access-Control-Allow-Headers" not in answer.headers


async def test_a_preflight_of_a_foreign_page_names_it(client: aiohttp.ClientSession) -> None:
    headers = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
    async with client.options("/generate", headers=headers) as answer:
        assert answer.status == 403
        assert FOREIGN in (await answer.json())["detail"]
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_preflight_for_nothing_is_a_404(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    headers = {"Origin": daemon.url, "Access-Control-Request-Method": "POST"}
    async with client.options("/no/such/path", headers=headers) as answer:
        assert answer.status == 404


async def test_what_a_tunnel_passes_on_needs_a_key(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    for method, path in routes_of(daemon.app):
        async with client.request(method, path, headers=ADMIN | {"X-Forwarded-For": "203.0.113.7"}) as answer:
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert daemon.stops == []


async def test_every_answer_carries_the_security_headers(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    for path in ("/health", "/", "/no/such/path", "/puna/v1/status"):
        async with client.get(path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Server"] == "puna"
