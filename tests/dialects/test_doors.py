"""Keys, scopes and rate limits on every route of every dialect, as the registry lists them."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon
from puna.api.dialect import Access, Dialect, Route
from puna.api.head import RequestHead, make_headers
from puna.app import DIALECTS
from puna.config import Settings
from puna.domain.dialects import DialectName
from puna.errors import ForbiddenError, PunaError, RateLimitedError, UnauthenticatedError
from puna.keys.identity import Scope

ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}
PLACEHOLDERS = [
    {},
    {"Authorization": "Bearer ollama"},
    {"X-Api-Key": "lm-studio"},
    {"Authorization": "Bearer puna_" + "x" * 43},
]
PRIVATE = [dialect for dialect in DIALECTS if dialect.access is Access.ADMIN]


class Door(NamedTuple):
    """One route, and how to ask for it."""

    dialect: Dialect
    route: Route
    path: str

    async def knock(self, client: aiohttp.ClientSession, headers: dict[str, str]) -> "Answer":
        body: object = {} if self.route.method == "POST" else None
        async with client.request(self.route.method, self.path, headers=headers, json=body) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def doors(daemon: RunningDaemon) -> Iterator[Door]:
    """Yield every route, the variables in its path filled in."""
    organisation_id = daemon.services.keys.default_organisation.id
    for dialect in DIALECTS:
        for route in dialect.routes:
            path = route.path.replace("{organisation_id}", organisation_id)
            yield Door(dialect, route, re.sub(r"\{\w+(:[^{}]*)?\}", "x", path))


def check_shape(door: Door, answer: Answer, error: PunaError) -> None:
    """The answer is what the dialect makes of such an error, and says the same in its own words."""
    head = RequestHead(method=door.route.method, path=door.path, headers=make_headers({}))
    expected = door.dialect.render_error(error, head)
    assert answer.status == expected.status, door.path
    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.body).keys() == json.loads(expected.body).keys(), door.path


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    """A daemon that is open to nobody."""
    settings = Settings(open_dialects=(), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as running:
        yield running


async def test_without_a_key_that_holds_every_closed_route_is_401(closed: RunningDaemon) -> None:
    async with closed.client() as client:
        for door in doors(closed):
            if door.dialect.access is Access.THIS_MACHINE:
                continue
            for headers in PLACEHOLDERS:
                answer = await door.knock(client, headers)
                check_shape(door, answer, UnauthenticatedError("no"))
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert closed.worker.requests == []
    assert closed.stops == []


async def test_from_another_machine_every_route_is_401_without_a_key(tmp_path: Path) -> None:
    everything = Settings(open_dialects=tuple(DialectName), rate_limits="off")
    async with run_daemon(tmp_path, settings=everything) as daemon, daemon.client(**ELSEWHERE) as client:
        admin = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        for door in doors(daemon):
            for headers in [*PLACEHOLDERS, admin]:
                answer = await door.knock(client, headers)
                assert (answer.status, door.path) == (401, door.path)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert daemon.worker.requests == []
        assert daemon.stops == []


@pytest.mark.parametrize("source", [{}, ELSEWHERE], ids=["here", "elsewhere"])
async def test_a_key_without_the_scope_is_403_and_one_with_it_is_not(
    closed: RunningDaemon, source: dict[str, str]
) -> None:
    secrets = {scope: await closed.make_key(scope) for scope in Scope}
    async with closed.client(**source) as client:
        for door in doors(closed):
            if not source and door.dialect.access is Access.THIS_MACHINE:
                continue
            for scope, secret in secrets.items():
                answer = await door.knock(client, {"X-Api-Key": secret})
                if door.route.scope in (None, scope):
                    assert answer.status not in (401, 403, 429), door.path
                else:
                    check_shape(door, answer, ForbiddenError("no"))
                    assert answer.status == 403
                    assert "WWW-Authenticate" not in answer.headers


async def test_a_key_works_in_both_headers_on_every_route(closed: RunningDaemon) -> None:
    secret = await closed.make_key(*Scope)
    async with closed.client() as client:
        for door in doors(closed):
            for headers in ({"Authorization": f"Bearer {secret}"}, {"X-Api-Key": secret}):
                assert (await door.knock(client, headers)).status not in (401, 403), door.path


async def test_only_the_documented_dialects_are_open_without_a_key(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    for door in doors(daemon):
        if door.route.claims is not None:
            # Whose request it is shows in the body, which this one leaves empty: then it is the owner's.
            continue
        is_open = door.dialect.name in ("locallab", "openai", "anthropic", "metrics", "description")
        for headers in PLACEHOLDERS:
            answer = await door.knock(client, headers)
            assert (answer.status == 401) is not is_open, door.path


async def test_the_setting_opens_a_dialect(tmp_path: Path) -> None:
    settings = Settings(open_dialects=(DialectName.OLLAMA,), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        opened = {
            door.dialect.name
            for door in doors(daemon)
            if (await door.knock(client, {"X-Api-Key": "placeholder"})).status != 401
        }
    assert opened == {"ollama", "metrics", "description"}


async def test_paths_that_do_not_exist_ask_for_a_key_where_their_dialect_does(
    closed: RunningDaemon,
) -> None:
    secret = await closed.make_key(*Scope)
    prefixes = [
        f"{prefix}/no/such/path"
        for dialect in DIALECTS
        for prefix in dialect.prefixes
        if dialect.access is not Access.THIS_MACHINE
    ]
    async with closed.client() as client:
        for path in prefixes:
            async with client.put(path) as answer:
                assert answer.status == 401, path
            async with client.put(path, headers={"X-Api-Key": secret}) as answer:
                assert answer.status in (404, 405), path
                assert answer.content_type == "application/json"


async def test_every_route_that_generates_is_limited_and_no_other(tmp_path: Path) -> None:
    rules = " ".join(f"{name}=1/min" for name in DialectName)
    settings = Settings(open_dialects=(), rate_limits=f"off {rules}")
    async with (
        run_daemon(tmp_path, settings=settings, clock=lambda: 1e9) as daemon,
        daemon.client() as client,
    ):
        for door in doors(daemon):
            headers = {"X-Api-Key": await daemon.make_key(*Scope)}
            first, second = [await door.knock(client, headers) for _ in range(2)]
            assert first.status != 429, door.path
            if not door.route.generates:
                assert second.status != 429, door.path
                continue
            check_shape(door, second, RateLimitedError("no", retry_after_s=60))
            assert (second.status, second.headers["Retry-After"]) == (429, "60")


async def test_clients_are_limited_apart_and_the_admin_is_not(tmp_path: Path) -> None:
    settings = Settings(rate_limits="off locallab=2/min")
    async with (
        run_daemon(tmp_path, settings=settings, clock=lambda: 1e9) as daemon,
        daemon.client() as client,
    ):

        async def statuses(**headers: str) -> list[int]:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            answers = [client.post("/generate", json={"prompt": "x"}, headers=named) for _ in range(3)]
            return [(await answer).status for answer in answers]

        assert await statuses() == [200, 200, 429]
        assert await statuses(X_Api_Key="placeholder") == [429, 429, 429]
        assert await statuses(X_Api_Key=await daemon.make_key()) == [200, 200, 429]
        assert await statuses(Authorization=f"Bearer {await daemon.make_key()}") == [200, 200, 429]
        assert await statuses(Authorization=f"Bearer {ADMIN_TOKEN}") == [200, 200, 200]


async def test_the_documented_limit_of_locallab_is_on_by_default(tmp_path: Path) -> None:
    async with (
        run_daemon(tmp_path, settings=Settings(), clock=lambda: 1e9) as daemon,
        daemon.client() as client,
    ):
        answers = []
        for _ in range(11):
            async with client.post("/generate", json={"prompt": "x"}) as answer:
                answers.append((answer.status, answer.headers.get("Retry-After")))
        assert answers == [(200, None)] * 10 + [(429, "1")]
        for _ in range(20):
            async with client.get("/health") as healthy:
                assert healthy.status == 200


async def test_a_page_that_is_allowed_may_ask_from_elsewhere_and_needs_a_key_to_call(tmp_path: Path) -> None:
    settings = Settings(allowed_origins=("https://app.example.org",), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon:
        secret = await daemon.make_key()
        page = ELSEWHERE | {"Origin": "https://app.example.org"}
        question = page | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        }
        async with daemon.client() as client:
            async with client.options("/generate", headers=question) as answer:
                assert answer.status == 204
            nameless = ELSEWHERE | {"Access-Control-Request-Method": "POST"}
            async with client.options("/generate", headers=nameless) as answer:
                assert answer.status == 401
            for headers, expected in ((page, 401), (page | {"X-Api-Key": secret}, 200)):
                async with client.post("/generate", json={"prompt": "x"}, headers=headers) as answer:
                    assert answer.status == expected
                    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"


def test_control_routes_say_what_they_need() -> None:
    for dialect in PRIVATE:
        for route in dialect.routes:
            assert route.scope in (Scope.MANAGE, Scope.TRAIN), route.path
            assert not route.generates


def test_every_dialect_with_keys_can_be_named_in_the_settings() -> None:
    for dialect in DIALECTS:
        if dialect.access is Access.KEYED:
            assert dialect.name in list(DialectName)


def test_new_dialects_and_routes_are_closed_until_somebody_opens_them() -> None:
    route = Route(method="GET", path="/x", handler=None)  # type: ignore[arg-type] # never called
    assert route.scope is Scope.INFER
    assert set(Settings().open_dialects) == {"locallab", "openai", "anthropic"}
