"""LocalLab over HTTP: loading, listing and unloading models."""

import asyncio

import aiohttp
import pytest

from fakes.asking import get, post
from fakes.running_daemon import MODELS, RunningDaemon, until
from fakes.scripted_model import ScriptedLauncher
from puna.residency.place import Resident


async def test_a_model_that_cannot_be_run_is_told_and_the_earlier_one_stays(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    await post(client, "/models/load", {"model_id": "demo"})
    launcher.broken["broken"] = "broken.gguf is not a GGUF file."
    answer = await post(client, "/models/load", {"model_id": "/models/broken.gguf"}, status=500)
    assert answer["detail"] == "broken.gguf is not a GGUF file."
    assert (await get(client, "/models/current"))["id"] == "demo"
    assert (await post(client, "/generate", {"prompt": "x"}))["model"] == "demo"
    listed = await get(client, "/models/available")
    assert [model["id"] for model in listed["models"] if not model["can_load"]] == ["broken"]


async def test_load_answers_when_the_model_is_ready(client: aiohttp.ClientSession) -> None:
    body = {"model_id": "org/model"}
    loaded = {"status": "success", "message": "Model org/model loaded successfully"}
    assert await post(client, "/models/load", body) == loaded
    again = {"status": "success", "message": "Model org/model is already loaded"}
    assert await post(client, "/models/load", body) == again
    assert await get(client, "/models/current") == {
        "id": "org/model",
        "model_id": "org/model",
        "name": "Org/Model",
        "is_loaded": True,
        "loading_progress": 1.0,
    }


async def test_load_in_the_background_answers_at_once_and_tells_how_far_it_is(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.gate.clear()
    started = {"status": "loading", "message": "Model org/model loading started in background"}
    assert await post(client, "/models/load/org/model") == started
    await until(lambda: any(each.progress for each in daemon.services.residency.residents()))
    status = {"id": "org/model", "model_id": "org/model", "name": "Org/Model"}
    assert await get(client, "/models/status/org/model") == status | {
        "is_loaded": False,
        "loading_progress": 0.25,
    }
    assert (await get(client, "/startup-status"))["model_loading"] is True
    daemon.launcher.gate.set()
    await until(lambda: all(resident.loaded for resident in daemon.services.residency.residents()))
    assert await get(client, "/models/status/org/model") == status | {
        "is_loaded": True,
        "loading_progress": 1.0,
    }
    done = {"status": "success", "message": "Model org/model is already loaded"}
    assert await post(client, "/models/load/org/model") == done


async def test_a_load_in_the_background_that_fails_leaves_the_daemon_well(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.broken["other"] = "other cannot be run"
    await post(client, "/models/load/other")
    await until(
        lambda: [each.error for each in daemon.services.residency.residents()] == ["other cannot be run"]
    )
    assert (await get(client, "/models/status/other"))["is_loaded"] is False
    assert await get(client, "/health") == {"status": "healthy"}


async def test_unload_says_the_words_that_the_client_compares(client: aiohttp.ClientSession) -> None:
    await post(client, "/models/load", {"model_id": "demo"})
    assert await post(client, "/models/unload") == {
        "status": "Model unloaded successfully",
        "message": "Model demo unloaded successfully",
    }
    assert await get(client, "/models/current", status=404) == {
        "detail": "No model currently loaded",
        "error": "No model currently loaded",
    }
    nothing = {"status": "success", "message": "No model is currently loaded"}
    assert await post(client, "/models/unload") == nothing


@pytest.mark.parametrize("path", ["/models/available", "/models/list", "/models"])
async def test_models_are_listed_with_what_is_loaded(client: aiohttp.ClientSession, path: str) -> None:
    await post(client, "/models/load", {"model_id": "other"})
    listed = await get(client, path)
    assert listed["current_model"] == "other"
    assert [model["id"] for model in listed["models"]] == list(MODELS)
    assert listed["models"][1] == {
        "id": "other",
        "name": "Other",
        "can_load": True,
        "description": "the model other",
        "is_loaded": True,
    }
    assert [model["id"] for model in listed["models"] if model["is_loaded"]] == ["other"]


async def test_a_model_loaded_by_its_path_is_listed_too(client: aiohttp.ClientSession) -> None:
    await post(client, "/models/load", {"model_id": "/elsewhere/mine.gguf"})
    listed = await get(client, "/models/available")
    assert (listed["current_model"], listed["models"][-1]["id"]) == ("mine", "mine")


async def test_models_serves_openai_clients_as_well(client: aiohttp.ClientSession) -> None:
    listed = await get(client, "/models")
    assert listed["object"] == "list"
    assert listed["data"][0] == {"id": "demo", "object": "model", "created": 0, "owned_by": "local"}


async def test_an_unknown_model_has_no_status(client: aiohttp.ClientSession) -> None:
    assert "nope" in (await get(client, "/models/status/nope", status=404))["detail"]


async def test_a_model_that_loads_longer_than_clients_wait_is_told_and_becomes_current(
    daemon: RunningDaemon, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(client, "/models/load", {"model_id": "demo"})
    monkeypatch.setattr("puna.api.locallab.models._ANSWER_S", 0.05)
    daemon.launcher.gate.clear()
    loading = {"status": "loading", "message": "Model other is being loaded; ask again."}
    assert await post(client, "/models/load", {"model_id": "other"}) == loading
    daemon.launcher.gate.set()
    await until(lambda: current_of(daemon) == "other")


async def test_a_load_goes_on_and_counts_when_its_client_leaves(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    await post(client, "/models/load", {"model_id": "demo"})
    daemon.launcher.gate.clear()
    leaving = asyncio.create_task(post(client, "/models/load", {"model_id": "other"}))
    await until(lambda: [each.waiting_requests for each in residents_of(daemon)] == [0, 1])
    leaving.cancel()
    await asyncio.wait([leaving])
    await until(lambda: works() == ["a load of other"])
    daemon.launcher.gate.set()
    await until(lambda: current_of(daemon) == "other")


async def test_who_asks_again_and_again_for_a_load_in_the_background_waits_for_one(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.gate.clear()
    for _ in range(5):
        await post(client, "/models/load/other")
    assert works() == ["a load of other"]
    daemon.launcher.gate.set()
    await until(lambda: current_of(daemon) == "other")
    await until(lambda: not works())


def residents_of(daemon: RunningDaemon) -> tuple[Resident, ...]:
    return daemon.services.residency.residents()


def current_of(daemon: RunningDaemon) -> str | None:
    current = daemon.services.residency.current
    return current.entry.id if current else None


def works() -> list[str]:
    """Return what goes on in the background because somebody asked for a model."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("a load of ")]
