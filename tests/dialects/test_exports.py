"""The export of a merged adapter over the control API, with a real child."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import psutil
import pytest
from msgspec.structs import replace

from fakes.adapters import write_adapter
from fakes.exports import SLOW, record_of
from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon
from puna import launch
from puna.api.control import following
from puna.domain.merging import ExportEvent
from puna.finetune.export_turns import MAX_EXPORTS
from puna.keys.identity import Scope
from puna.models.header import read_model_header
from puna.paths import Paths

DEMO = Paths.for_user().demo_model


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with run_daemon(tmp_path) as running:
        await running.services.catalogue.add(DEMO, "base")
        record = record_of(DEMO)
        path = await running.services.adapters.prepare(record.id)
        await asyncio.to_thread(write_adapter, path, DEMO, seed=1)
        await running.services.adapters.add(record)
        yield running


@pytest.fixture
async def client(daemon: RunningDaemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with daemon.client(Authorization=f"Bearer {ADMIN_TOKEN}") as session:
        yield session


def url_of(adapter_id: str = "ft_model_0123456789ab") -> str:
    return f"/puna/v1/adapters/{adapter_id}/export"


def events_in(text: str, name: str = "export") -> list[bytes]:
    """Return the data of the events with this name."""
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return [lines[1].removeprefix("data: ").encode() for lines in blocks if lines[0] == f"event: {name}"]


def made_in(folder: Path) -> list[Path]:
    return [*folder.glob("*.gguf"), *folder.glob(".*.part")]


async def test_an_export_tells_how_far_it_is_and_makes_a_model(
    client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    target = tmp_path / "merged.gguf"
    async with client.post(url_of(), json={"path": str(target), "merged": True, "type": "F16"}) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        events = [msgspec.json.decode(data, type=ExportEvent) for data in events_in(await response.text())]
    assert list(dict.fromkeys(event.phase for event in events)) == ["checking", "writing", "done"]
    header = read_model_header(target)
    assert header.quantisation == "F16"
    assert header.name.endswith(" + Complaints")
    result = events[-1].result
    assert result is not None
    assert (result.path, result.size_bytes, result.quantisation) == (str(target), header.size_bytes, "F16")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "path"),
        ({"path": "merged.gguf"}, "path"),
        ({"path": "/merged.bin"}, "path"),
        ({"path": "/no/such/folder/merged.gguf"}, "folder"),
        ({"path": f"/tmp/{'a' * 300}.gguf"}, "path"),  # noqa: S108 - nothing is written
        ({"path": "/merged.gguf", "type": "Q9"}, "type"),
        ({"path": "/merged.gguf", "merged": False}, "merged"),
    ],
)
async def test_what_cannot_be_made_is_refused_before_it_begins(
    client: aiohttp.ClientSession, body: dict[str, object], field: str
) -> None:
    async with client.post(url_of(), json=body) as response:
        assert response.status == 400
        assert field in (await response.json())["detail"]


async def test_an_adapter_or_base_that_is_not_there_is_404(
    client: aiohttp.ClientSession, daemon: RunningDaemon, tmp_path: Path
) -> None:
    body = {"path": str(tmp_path / "merged.gguf")}
    async with client.post(url_of("ft_model_000000000000"), json=body) as response:
        assert response.status == 404
    record = replace(record_of(DEMO), id="ft_model_aaaaaaaaaaaa", base_id="gone")
    await daemon.services.adapters.prepare(record.id)
    await daemon.services.adapters.add(record)
    async with client.post(url_of(record.id), json=body) as response:
        assert response.status == 404
        assert "gone" in (await response.json())["detail"]


async def test_an_adapter_of_another_file_ends_with_an_error_event(
    client: aiohttp.ClientSession, daemon: RunningDaemon, tmp_path: Path
) -> None:
    await daemon.services.adapters.add(record_of(DEMO, sha="1" * 64))
    target = tmp_path / "merged.gguf"
    async with client.post(url_of(), json={"path": str(target)}) as response:
        text = await response.text()
    (data,) = events_in(text, "error")
    assert (
        "trained on another file than demo.gguf" in msgspec.json.decode(data, type=dict[str, str])["detail"]
    )
    assert not made_in(tmp_path)


async def test_a_client_that_leaves_cancels_the_export(
    client: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "child_command", lambda _role: SLOW)
    others = psutil.Process().children()
    target = tmp_path / "merged.gguf"
    async with client.post(url_of(), json={"path": str(target), "type": "Q5_K"}) as response:
        async for line in response.content:
            if b"writing" in line:
                break
        assert made_in(tmp_path)
        response.close()
    async with asyncio.timeout(60):
        while made_in(tmp_path) or set(psutil.Process().children()) - set(others):
            await asyncio.sleep(0.02)


async def test_exports_wait_for_each_other_and_too_many_are_told_to_come_again(
    client: aiohttp.ClientSession, daemon: RunningDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_HEARTBEAT_S", 0.05)
    turns = daemon.services.adapters.exports
    async with turns.take():
        bodies = [{"path": str(tmp_path / f"{number}.gguf")} for number in range(MAX_EXPORTS)]
        waiting = [await client.post(url_of(), json=body) for body in bodies[1:]]
        assert {response.status for response in waiting} == {200}
        async with client.post(url_of(), json=bodies[0]) as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
        assert not made_in(tmp_path)
        for response in waiting[1:]:
            response.close()
    assert '"phase":"done"' in await waiting[0].text()
    assert tmp_path / "1.gguf" in made_in(tmp_path)


async def test_only_who_may_manage_exports(daemon: RunningDaemon, tmp_path: Path) -> None:
    key = await daemon.make_key(Scope.INFER)
    async with (
        daemon.client(Authorization=f"Bearer {key}") as client,
        client.post(url_of(), json={"path": str(tmp_path / "merged.gguf")}) as response,
    ):
        assert response.status in {401, 403}
