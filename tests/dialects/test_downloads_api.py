"""Models, downloads and the Hub over the control API, LocalLab and Ollama, with a fake Hub behind them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from fakes.fake_hub import FakeHub, run_fake_hub
from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon, until
from fakes.scripted_model import entry_of
from puna.api.control import following
from puna.config import Settings
from puna.domain.downloads import Download, DownloadState
from puna.downloads import service as downloads_service
from puna.keys.identity import Scope

REPO = "acme/llama-GGUF"
NAME = f"{REPO}:Q4_K_M"
CONTENT = b"four" * 100_000


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with run_fake_hub() as hub:
        files = {"README.md": b"# A llama", "llama-Q4_K_M.gguf": CONTENT, "llama-Q8_0.gguf": CONTENT * 2}
        hub.add(REPO, files, downloads=100)
        yield hub


@pytest.fixture
async def daemon(tmp_path: Path, hub: FakeHub) -> AsyncIterator[RunningDaemon]:
    settings = Settings(
        rate_limits="off", hub_endpoint=hub.url, hub_cache=tmp_path / "hub", hub_token_file=tmp_path / "token"
    )
    async with run_daemon(tmp_path, settings=settings) as running:
        yield running


@pytest.fixture
async def admin(daemon: RunningDaemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with daemon.client(Authorization=f"Bearer {ADMIN_TOKEN}") as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, method: str, path: str, body: Any = None, status: int = 200
) -> Any:
    async with session.request(method, path, json=body) as response:
        answer = await response.json()
        assert response.status == status, answer
        return answer


async def pull(admin: aiohttp.ClientSession, name: str = NAME) -> Any:
    return await ask(admin, "POST", "/puna/v1/downloads", {"model": name})


async def events_of(response: aiohttp.ClientResponse) -> list[Download]:
    """Return all downloads of a stream that ends."""
    assert response.headers["Content-Type"].startswith("text/event-stream")
    blocks = (await response.text()).split("\n\n")
    lines = [block.split("\ndata: ", 1)[1] for block in blocks if block.startswith("event: download\n")]
    return [msgspec.json.decode(line, type=Download) for line in lines]


async def test_a_download_is_begun_told_and_done(daemon: RunningDaemon, admin: aiohttp.ClientSession) -> None:
    begun = await pull(admin)
    assert (begun["name"], begun["state"], begun["size_bytes"]) == (NAME, "running", len(CONTENT))
    async with admin.get(f"/puna/v1/downloads/{begun['id']}?follow=1") as response:
        told = await events_of(response)
    assert told[-1].state is DownloadState.DONE
    assert told[-1].path is not None
    assert await asyncio.to_thread(Path(told[-1].path).read_bytes) == CONTENT
    [listed] = (await ask(admin, "GET", "/puna/v1/downloads"))["downloads"]
    assert listed == await ask(admin, "GET", f"/puna/v1/downloads/{begun['id']}")
    assert listed["files"][0]["digest"].startswith("sha256:")


async def test_a_download_is_paused_resumed_and_cancelled(admin: aiohttp.ClientSession, hub: FakeHub) -> None:
    hub.knobs.stall_after = 100_000
    path = f"/puna/v1/downloads/{(await pull(admin))['id']}"
    await until(lambda: bool(hub.content()) and hub.content()[0].sent >= 100_000)
    assert (await ask(admin, "POST", f"{path}/pause", {}))["state"] == "paused"
    hub.knobs.stall_after = 100_000
    assert (await ask(admin, "POST", f"{path}/resume", {}))["state"] == "running"
    assert (await ask(admin, "POST", f"{path}/cancel", {}))["state"] == "cancelled"
    refused = await ask(admin, "POST", f"{path}/resume", {}, status=400)
    assert "is cancelled; begin it anew" in refused["detail"]


async def test_what_is_unknown_is_told(admin: aiohttp.ClientSession) -> None:
    for path in ("/puna/v1/downloads/dl_no", "/puna/v1/downloads/dl_no?follow=1"):
        assert "There is no download dl_no" in (await ask(admin, "GET", path, status=404))["detail"]
    refused = await ask(admin, "POST", "/puna/v1/downloads", {"model": "acme/none"}, status=404)
    assert refused["detail"].startswith("The Hub has no model acme/none")
    refused = await ask(admin, "POST", "/puna/v1/downloads", {"model": "no name"}, status=404)
    assert "Names on the Hub look like org/name" in refused["detail"]
    refused = await ask(admin, "POST", "/puna/v1/downloads", {"model": f"{REPO}:Q2_K"}, status=404)
    assert refused["detail"] == f"{REPO} has no Q2_K; it has Q4_K_M, Q8_0."


async def test_a_stream_says_something_now_and_then(
    admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_HEARTBEAT_S", 0.01)
    async with asyncio.timeout(60), admin.get("/puna/v1/downloads?follow=1") as response:
        assert await response.content.readline() == b": news of Puna\n"
        assert await response.content.readuntil(b": still there\n\n")


async def test_a_stream_ends_when_the_daemon_stops(
    daemon: RunningDaemon, admin: aiohttp.ClientSession
) -> None:
    async with asyncio.timeout(60), admin.get("/puna/v1/downloads?follow=1") as response:
        await response.content.readline()
        await daemon.services.hub.downloads.close()
        await response.content.read()
    refused = await ask(admin, "POST", "/puna/v1/downloads", {"model": NAME}, status=503)
    assert refused["detail"] == "Puna is stopping."


async def test_a_question_for_the_head_of_a_stream_gets_that_alone(
    daemon: RunningDaemon, admin: aiohttp.ClientSession
) -> None:
    async with asyncio.timeout(60):
        async with admin.head("/puna/v1/downloads?follow=1") as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
        # Bytes of a body would be taken for the next answer on this connection.
        await ask(admin, "GET", "/puna/v1/downloads")
    await until(lambda: daemon.services.activity.open_requests == 0)


async def test_who_watches_as_one_too_many_is_told_to_come_again(
    daemon: RunningDaemon, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads_service, "MAX_LISTENERS", 0)
    refused = await ask(admin, "GET", "/puna/v1/downloads?follow=1", status=503)
    assert refused["detail"] == "Too many programs watch downloads."


async def test_a_search_tells_sizes_and_what_fits(admin: aiohttp.ClientSession, hub: FakeHub) -> None:
    [found] = (await ask(admin, "GET", "/puna/v1/hub/search?query=llama"))["results"]
    assert (found["repo"], found["downloads"], found["licence"]) == (REPO, 100, "apache-2.0")
    sizes = {each["label"]: (each["size_bytes"], each["fit"]) for each in found["variants"]}
    assert sizes == {"Q4_K_M": (400_000, "fits"), "Q8_0": (800_000, "fits")}
    # So small a model is better with eight bits.
    assert [each["name"] for each in found["variants"] if each["is_recommended"]] == [f"{REPO}:Q8_0"]
    assert found["variants"][0]["is_recommended"]
    asked = len(hub.asked)
    await ask(admin, "GET", "/puna/v1/hub/search?query=llama")
    assert len(hub.asked) == asked + 1


async def test_a_wrong_limit_is_told(admin: aiohttp.ClientSession) -> None:
    for limit, words in (
        ("0", " from 1 to 30."),
        ("31", " from 1"),
        ("-1", " from 1"),
        ("many", "."),
        ("1.5", "."),
    ):
        refused = await ask(admin, "GET", f"/puna/v1/hub/search?limit={limit}", status=400)
        assert refused["detail"].startswith(f"`limit` must be a whole number{words}")


async def test_a_card_is_shown_with_its_repository(admin: aiohttp.ClientSession) -> None:
    page = await ask(admin, "GET", f"/puna/v1/hub/models/{NAME}")
    assert (page["card"], page["offer"]["repo"], page["asked"]) == ("# A llama", REPO, REPO)
    refused = await ask(admin, "GET", "/puna/v1/hub/models/demo", status=404)
    assert "is no name on the Hub" in refused["detail"]


async def test_a_gated_repository_says_what_to_do(admin: aiohttp.ClientSession, hub: FakeHub) -> None:
    hub.repos[REPO].is_gated = True
    begun = await pull(admin)
    async with admin.get(f"/puna/v1/downloads/{begun['id']}?follow=1") as response:
        told = await events_of(response)
    assert told[-1].state is DownloadState.FAILED
    assert told[-1].error is not None
    assert "needs its licence to be accepted" in told[-1].error


async def test_only_who_manages_may_download(daemon: RunningDaemon) -> None:
    for scope, status in ((Scope.INFER, 403), (Scope.MANAGE, 200)):
        async with daemon.client(X_Api_Key=await daemon.make_key(scope)) as session:
            await ask(session, "GET", "/puna/v1/downloads", status=status)


# Models


async def test_models_are_listed_shown_added_and_forgotten(admin: aiohttp.ClientSession) -> None:
    listed = await ask(admin, "GET", "/puna/v1/models")
    demo = next(each for each in listed["models"] if each["id"] == "demo")
    assert (demo["state"], demo["quantisation"], demo["kind"]) == ("unloaded", "Q8_0", "text")
    assert await ask(admin, "GET", "/puna/v1/models/demo") == demo
    added = await ask(admin, "POST", "/puna/v1/models", {"path": "/data/m.gguf", "name": "mine"})
    assert (added["id"], added["source"], added["path"]) == ("mine", "added", "/data/m.gguf")
    removed = await ask(admin, "DELETE", "/puna/v1/models/mine")
    assert removed == {"id": "mine", "freed_bytes": 0, "is_deleted": False}
    await ask(admin, "GET", "/puna/v1/models/mine", status=404)


async def test_a_further_name_is_shown_and_taken_back(
    daemon: RunningDaemon, admin: aiohttp.ClientSession
) -> None:
    await daemon.services.nicknames.give("nick", entry_of("demo"))
    shown = await ask(admin, "GET", "/puna/v1/models/nick")
    assert (shown["id"], shown["nicknames"]) == ("demo", ["nick"])
    assert not (await ask(admin, "DELETE", "/puna/v1/models/nick"))["is_deleted"]
    await ask(admin, "GET", "/puna/v1/models/nick", status=404)


# LocalLab and Ollama


async def test_locallab_says_why_an_unknown_model_cannot_be_brought(
    daemon: RunningDaemon, hub: FakeHub
) -> None:
    async with daemon.client() as session:
        body = {"model_id": "acme/none"}
        refused = await ask(session, "POST", "/models/load", body, status=404)
        assert refused["detail"].startswith("The Hub has no model acme/none")
        hub.knobs.statuses = [503]
        refused = await ask(session, "POST", "/models/load", body, status=404)
        assert "Cannot reach the Hub" in refused["detail"]
        refused = await ask(session, "POST", "/models/load", {"model_id": "nonsense"}, status=404)
        assert "There is no model nonsense" in refused["detail"]


async def test_locallab_answers_in_time_when_a_download_takes_long(
    daemon: RunningDaemon, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.api.locallab.models._ANSWER_S", 0.3)
    hub.knobs.stall_after = 100_000
    async with daemon.client() as session:
        answer = await ask(session, "POST", "/models/load", {"model_id": NAME})
        assert answer["status"] == "loading"
        assert answer["message"].startswith(f"Model {NAME} is being downloaded (")
        status = await ask(session, "GET", f"/models/status/{NAME}")
        assert not status["is_loaded"]


async def test_locallab_tells_a_download_that_fails(daemon: RunningDaemon, hub: FakeHub) -> None:
    hub.knobs.etag_lie = "0" * 64
    async with daemon.client() as session:
        refused = await ask(session, "POST", "/models/load", {"model_id": NAME}, status=500)
        assert "its hash is another one" in refused["detail"]


async def test_ollama_tells_a_pull_that_fails_in_its_stream(daemon: RunningDaemon, hub: FakeHub) -> None:
    hub.knobs.etag_lie = "0" * 64
    key = await daemon.make_key(Scope.MANAGE)
    async with daemon.client(X_Api_Key=key) as session:
        async with session.post("/api/pull", json={"model": NAME}) as response:
            lines = [msgspec.json.decode(line) for line in (await response.read()).splitlines()]
        assert lines[0] == {"status": "pulling manifest"}
        assert "its hash is another one" in lines[-1]["error"]
        async with session.post("/api/pull", json={"model": NAME, "stream": False}) as response:
            assert response.status == 500


async def test_ollama_pulls_every_file_as_a_layer(daemon: RunningDaemon, hub: FakeHub) -> None:
    parts = {f"big-Q4_K_M-0000{number}-of-00002.gguf": b"%d" % number * 50_000 for number in (1, 2)}
    hub.add("acme/big-GGUF", parts | {"mmproj-f16.gguf": b"mm" * 1000})
    async with (
        daemon.client(X_Api_Key=await daemon.make_key(Scope.MANAGE)) as session,
        session.post("/api/pull", json={"model": "acme/big-GGUF"}) as response,
    ):
        lines = [msgspec.json.decode(line) for line in (await response.read()).splitlines()]
    assert lines[-1] == {"status": "success"}
    whole = {line["digest"] for line in lines if line.get("total") and line["total"] == line["completed"]}
    assert len(whole) == 3
