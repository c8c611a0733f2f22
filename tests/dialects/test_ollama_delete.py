"""`ollama rm` takes away what Puna brought, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

from fakes.asking import post
from fakes.hub_cache import cache_file
from fakes.running_daemon import RunningDaemon, run_daemon, until
from fakes.scripted_model import Script, entry_of
from puna.config import Settings
from puna.domain.dialects import DialectName
from puna.domain.models import ModelSource
from puna.keys.identity import Scope

REPO = "acme/tiny-GGUF"
NAME = f"{REPO}:Q8_0"


@pytest.fixture
async def manager(daemon: RunningDaemon) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose key may manage too."""
    async with daemon.client(X_Api_Key=await daemon.make_key(Scope.INFER, Scope.MANAGE)) as session:
        yield session


@pytest.fixture
def downloaded(daemon: RunningDaemon) -> Path:
    """The file of a model from the Hub, which the catalogue lists."""
    return download(daemon)


def download(daemon: RunningDaemon) -> Path:
    path = cache_file(daemon.services.hub.cache, REPO, "tiny-Q8_0.gguf", b"GGUF")
    entry = replace(entry_of(NAME), source=ModelSource.HUB, path=path, files=(path,))
    daemon.services.catalogue.known[NAME] = entry  # type: ignore[attr-defined]
    return path


def is_there(path: Path) -> bool:
    return path.exists()


async def delete(client: aiohttp.ClientSession, name: str, status: int = 200) -> str:
    async with client.delete("/api/delete", json={"model": name}) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def copy(client: aiohttp.ClientSession, source: str, destination: str) -> None:
    async with client.post("/api/copy", json={"source": source, "destination": destination}) as answer:
        assert answer.status == 200, await answer.text()


async def test_a_downloaded_model_is_deleted_and_leaves_memory(
    daemon: RunningDaemon, manager: aiohttp.ClientSession, downloaded: Path
) -> None:
    await post(manager, "/api/generate", {"model": NAME})
    assert await delete(manager, NAME) == ""
    assert not is_there(daemon.services.hub.cache / "models--acme--tiny-GGUF")
    assert daemon.services.residency.residents() == ()


async def test_a_name_of_a_downloaded_model_goes_and_the_file_stays(
    manager: aiohttp.ClientSession, downloaded: Path
) -> None:
    await copy(manager, NAME, "mine")
    await delete(manager, "mine:latest")
    assert is_there(downloaded)
    await delete(manager, "mine", status=404)


async def test_a_model_with_a_further_name_stays_so_that_nobody_loses_what_was_to_be_renamed(
    manager: aiohttp.ClientSession, downloaded: Path
) -> None:
    await copy(manager, NAME, "mine")
    refused = await delete(manager, NAME, status=400)
    assert f"{NAME} goes by the name mine too; delete that name first." in refused
    assert is_there(downloaded)
    await delete(manager, "mine")
    await delete(manager, NAME)
    assert not is_there(downloaded)


async def test_a_name_of_the_settings_keeps_no_model(tmp_path: Path) -> None:
    settings = Settings(
        open_dialects=(DialectName.OLLAMA,), rate_limits="off", model_aliases=(f"tiny={NAME}",)
    )
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        path = download(daemon)
        await delete(client, NAME)
        assert not is_there(path)


async def test_a_model_that_answers_somebody_stays(
    daemon: RunningDaemon, manager: aiohttp.ClientSession, downloaded: Path
) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    async with manager.post("/api/generate", json={"model": NAME, "prompt": "x"}) as answer:
        await answer.content.readline()
        assert "answers somebody right now" in await delete(manager, NAME, status=400)
        answer.close()
    await until(lambda: daemon.worker.aborted == 1)
    assert is_there(downloaded)


async def test_a_model_that_somebody_waits_for_stays(
    daemon: RunningDaemon, manager: aiohttp.ClientSession, downloaded: Path
) -> None:
    daemon.launcher.gate.clear()
    waiting = asyncio.create_task(post(manager, "/api/generate", {"model": NAME}))
    await until(lambda: any(each.waiting_requests for each in daemon.services.residency.residents()))
    assert "answers somebody right now" in await delete(manager, NAME, status=400)
    daemon.launcher.gate.set()
    assert (await waiting)["done_reason"] == "load"
    assert is_there(downloaded)


async def test_a_key_that_may_only_infer_deletes_nothing(
    keyed: aiohttp.ClientSession, downloaded: Path
) -> None:
    assert "manage" in await delete(keyed, NAME, status=403)
    assert is_there(downloaded)


@pytest.mark.parametrize(
    "source", [ModelSource.LM_STUDIO, ModelSource.LLAMA_CPP, ModelSource.FOLDER], ids=str
)
async def test_files_of_other_programs_stay(
    daemon: RunningDaemon, manager: aiohttp.ClientSession, downloaded: Path, source: ModelSource
) -> None:
    known = daemon.services.catalogue.known  # type: ignore[attr-defined]
    known[NAME] = replace(known[NAME], source=source)
    assert "delete the file yourself" in await delete(manager, NAME, status=400)
    assert is_there(downloaded)
