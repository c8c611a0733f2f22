"""Puna's own API: status and shutdown for the admin, metrics for this machine."""

import asyncio
import os
from typing import Any

import aiohttp
import msgspec
import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

import puna
from fakes.running_daemon import ADMIN_TOKEN, CPU_BUILD, RunningDaemon, until
from fakes.scripted_model import Script, ScriptedLauncher
from puna.client import ControlClient, ModelStatus
from puna.errors import PunaError
from puna.instance import Endpoint

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


async def status_of(client: aiohttp.ClientSession) -> dict[str, Any]:
    async with client.get("/puna/v1/status", headers=ADMIN) as answer:
        assert answer.status == 200
        status: dict[str, Any] = await answer.json()
        return status


async def metrics_of(client: aiohttp.ClientSession) -> dict[str, float]:
    """Return the figures by name and labels."""
    async with client.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        text = await answer.text()
    return {
        " ".join(
            [sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/puna/v1/status"), ("GET", "/puna/v1/hardware"), ("POST", "/puna/v1/shutdown")],
)
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {ADMIN_TOKEN}"}], ids=str
)
async def test_control_is_closed_without_the_token(
    daemon: RunningDaemon, client: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str]
) -> None:
    async with client.request(method, path, headers=headers) as answer:
        assert answer.status == 401
        assert "admin token" in (await answer.json())["detail"]
    assert daemon.stops == []


async def test_hardware_tells_what_the_machine_has_and_what_each_model_uses(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    async with client.post("/models/load", json={"model_id": "demo"}) as answer:
        assert answer.status == 200
    endpoint = Endpoint(
        pid=os.getpid(),
        create_time=0,
        host="127.0.0.1",
        port=daemon.port,
        token=ADMIN_TOKEN,
        instance="i",
        version=puna.__version__,
    )
    hardware = await asyncio.to_thread(ControlClient(endpoint).hardware)
    assert hardware.llama == CPU_BUILD
    assert hardware.machine.processor.physical_cores >= 1
    assert not hardware.gpu_use.is_possible
    [use] = hardware.models
    assert (use.id, use.context_reason) == ("demo", "all that the model was trained for")


async def test_status_tells_what_runs(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    assert (await status_of(client))["models"] == []
    async with client.post("/generate", json={"prompt": "x"}) as answer:
        assert answer.status == 200
    status = await status_of(client)
    assert status["uptime_s"] > 0
    assert status["address"] == f"http://localhost:{daemon.port}"
    assert (status["instance"], status["version"], status["pid"]) == (
        "instance-of-this-test",
        puna.__version__,
        os.getpid(),
    )
    assert (status["requests"], status["open_requests"]) == (1, 1)
    assert status["organisation"] == daemon.services.keys.default_organisation.id
    [model] = status["models"]
    assert (model["id"], model["state"], model["is_current"], model["slots"]) == ("demo", "ready", True, 8)
    assert (model["busy_slots"], model["waiting_requests"], model["threads"]) == (0, 0, 1)
    assert (model["context_length"], model["backend"], model["backend_reason"]) == (
        2048,
        "CPU",
        "no GPU was found",
    )
    assert (model["prompt_tokens"], model["completion_tokens"]) == (0, 7)


async def test_status_tells_of_a_load_under_way_and_of_a_failed_one(
    daemon: RunningDaemon, client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.gate.clear()
    launcher.broken["other"] = "other cannot be run"
    async with client.post("/models/load/other") as answer:
        assert answer.status == 200
    await until(lambda: any(each.progress for each in daemon.services.residency.residents()))
    [model] = (await status_of(client))["models"]
    assert (model["state"], model["slots"], model["backend"]) == ("loading", None, None)
    assert msgspec.convert(model, ModelStatus).progress == 0.25
    launcher.gate.set()
    await until(lambda: daemon.services.residency.residents()[0].error is not None)
    [model] = (await status_of(client))["models"]
    assert (model["state"], model["error"], model["is_current"]) == ("failed", "other cannot be run", False)


async def test_shutdown_asks_the_daemon_to_stop(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    async with client.post("/puna/v1/shutdown", headers=ADMIN) as answer:
        assert (answer.status, await answer.json()) == (
            200,
            {"status": "stopping", "at_most_s": 40.0},
        )
    assert daemon.stops == ["stop"]


async def test_the_command_line_s_client_understands_the_answers(daemon: RunningDaemon) -> None:
    async with daemon.services.residency.acquire("demo"):
        pass
    endpoint = Endpoint(
        pid=os.getpid(),
        create_time=0,
        host="127.0.0.1",
        port=daemon.port,
        token=ADMIN_TOKEN,
        instance="instance-of-this-test",
        version=puna.__version__,
    )
    control = ControlClient(endpoint)
    status = await asyncio.to_thread(control.status)
    assert (status.instance, status.models[0].id, status.models[0].slots) == (endpoint.instance, "demo", 8)
    await asyncio.to_thread(control.shutdown)
    assert daemon.stops == ["stop"]
    wrong = ControlClient(structs.replace(endpoint, token="wrong"))
    with pytest.raises(PunaError, match="admin token"):
        await asyncio.to_thread(wrong.status)


async def test_metrics_count_requests_and_tokens(client: aiohttp.ClientSession) -> None:
    for body in ({"prompt": "x"}, {"prompt": "x", "stream": True}, {}):
        async with client.post("/generate", json=body) as answer:
            await answer.read()
    metrics = await metrics_of(client)
    assert metrics["puna_requests_total dialect=locallab status=200"] == 2
    assert metrics["puna_requests_total dialect=locallab status=400"] == 1
    assert metrics["puna_tokens_total dialect=locallab kind=prompt"] == 10
    assert metrics["puna_tokens_total dialect=locallab kind=completion"] == 4
    assert metrics["puna_model_slots model=demo"] == 8
    assert metrics["puna_model_busy_slots model=demo"] == 0
    assert metrics["puna_model_completion_tokens_total model=demo"] == 7
    assert metrics[f"puna_build_info version={puna.__version__}"] == 1


async def test_metrics_show_a_busy_slot_and_its_release(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    answer = await client.post("/generate", json={"prompt": "x", "stream": True})
    assert (await metrics_of(client))["puna_model_busy_slots model=demo"] == 1
    answer.close()
    await until(lambda: daemon.worker.running == 0)
    assert (await metrics_of(client))["puna_model_busy_slots model=demo"] == 0


async def test_metrics_of_a_daemon_without_a_model_are_well_formed(client: aiohttp.ClientSession) -> None:
    metrics = await metrics_of(client)
    assert metrics["puna_open_requests"] == 1
    assert metrics["puna_uptime_seconds"] > 0
