"""LocalLab over HTTP: the machine, the instructions, the home page."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from fakes.asking import get, post
from fakes.running_daemon import CPU_BUILD, RunningDaemon
from fakes.scripted_model import LOADED, Script, ScriptedLauncher, entry_of
from puna.api.locallab.routes import DIALECT
from puna.api.locallab.schema import MAX_INSTRUCTIONS
from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt
from puna.domain.hardware import LlamaBuild, Memory
from puna.domain.models import Device
from puna.errors import ContextOverflowError


async def test_system_info_tells_the_document_s_figures_and_what_runs_where(
    client: aiohttp.ClientSession,
) -> None:
    empty = await get(client, "/system/info")
    assert (empty["active_model"], empty["backend"], empty["models"]) == (None, None, [])
    await post(client, "/generate", {"prompt": "x"})
    info = await get(client, "/system/info")
    assert (info["active_model"], info["gpu_info"], info["request_count"]) == ("demo", None, 3)
    assert 0 <= info["cpu_usage"] <= 100
    free_share = info["memory"]["available_mb"] / info["memory"]["total_mb"]
    assert info["memory_usage"] == pytest.approx(100 * (1 - free_share), abs=0.2)
    assert info["uptime"] >= 0
    assert (info["backend"], info["backend_reason"], info["threads"]) == ("CPU", "no GPU was found", 1)
    assert (info["models"][0]["id"], info["models"][0]["context_length"]) == ("demo", 2048)


async def test_system_info_describes_a_gpu(client: aiohttp.ClientSession, launcher: ScriptedLauncher) -> None:
    gpu = Device("CUDA0", "Fast Card", "gpu", memory_total_bytes=8 << 30, memory_free_bytes=6 << 30)
    cpu = Device("CPU", "A processor", "cpu", memory_total_bytes=16 << 30, memory_free_bytes=1 << 30)
    launcher.loaded = structs.replace(LOADED, devices=(cpu, gpu), backend="CUDA", gpu_layers=9)
    await post(client, "/models/load", {"model_id": "demo"})
    info = await get(client, "/system/info")
    assert info["gpu_info"] == (await get(client, "/resources"))["gpu"]
    [described] = info["gpu_info"]
    assert {name: value for name, value in described.items() if value is not None} == {
        "index": 0,
        "name": "Fast Card",
        "total_memory_mb": 8192,
        "memory_free_mb": 6144,
        "memory_used_mb": 2048,
        "memory_percent": 25.0,
    }
    assert [device["name"] for device in info["devices"]] == ["CPU", "CUDA0"]
    assert info["backend"] == "CUDA"


async def test_system_info_tells_why_a_model_uses_no_more(client: aiohttp.ClientSession) -> None:
    await post(client, "/models/load", {"model_id": "demo"})
    info = await get(client, "/system/info")
    [model] = info["models"]
    assert model["layers_reason"].startswith("this llama.cpp was built for the CPU alone")
    assert model["context_reason"] == "all that the model was trained for"
    assert model["threads_reason"]
    assert info["gpu_reason"] == model["layers_reason"]
    assert info["llama"] == {
        "version": "0.3.0",
        "llama_cpp_version": "0.5.0",
        "commit": "abcdef0",
        "backends": ["CPU"],
    }
    assert info["cpu"]["instruction_sets"] == ["AVX", "AVX2"]
    assert info["cpu"]["physical_cores"] >= 1
    assert 0 < info["memory"]["available_mb"] <= info["memory"]["total_mb"]
    assert (info["llama_error"], info["system"] != "") == (None, True)


async def test_gpus_are_told_before_any_model_is_loaded(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    gpu = Device("CUDA0", "Fast Card", "gpu", memory_total_bytes=8 << 30, memory_free_bytes=6 << 30)

    async def see_a_gpu() -> LlamaBuild:
        return structs.replace(CPU_BUILD, devices=(*CPU_BUILD.devices, gpu))

    daemon.services.llama._look = see_a_gpu
    info = await get(client, "/system/info")
    assert [each["name"] for each in info["gpu_info"]] == ["Fast Card"]
    assert (info["gpu_reason"], info["gpu_advice"]) == ("llama.cpp can use Fast Card", None)
    assert (await get(client, "/resources"))["gpu"] == info["gpu_info"]


async def test_a_llama_cpp_that_cannot_be_loaded_is_said(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.services.llama.error = "llama.cpp cannot be loaded (exit code 1)."
    info = await get(client, "/system/info")
    assert (info["llama"], info["llama_error"]) == (None, "llama.cpp cannot be loaded (exit code 1).")


async def test_health_checks_are_not_counted_as_requests(client: aiohttp.ClientSession) -> None:
    for path in ("/health", "/startup-status", "/metrics"):
        async with client.get(path) as answer:
            assert answer.status == 200
    assert (await get(client, "/system/info"))["request_count"] == 1


async def test_startup_status_tells_that_the_server_is_ready(client: aiohttp.ClientSession) -> None:
    status = await get(client, "/startup-status")
    assert status.pop("uptime") >= 0
    assert status == {"server_ready": True, "model_loading": False, "current_model": None}


async def test_resources_and_network_describe_the_machine(client: aiohttp.ClientSession) -> None:
    resources = await get(client, "/resources")
    assert resources["cpu"]["threads"] >= 1
    assert resources["memory"]["total"] > resources["memory"]["available"] > 0
    assert resources["disk"]["total"] > 0
    assert resources["platform"]
    network = await get(client, "/network")
    assert network["public_ip"] == "Unknown"
    assert any(address.get("ip") == "127.0.0.1" for address in network["interfaces"].values())


async def test_memory_is_what_a_container_allows(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = Memory(total_bytes=4 << 30, available_bytes=1 << 20, is_limited=True)
    monkeypatch.setattr("puna.api.locallab.system.read_memory", lambda: allowed)
    memory = (await get(client, "/resources"))["memory"]
    assert (memory["total"], memory["available"], memory["free"]) == (4 << 30, 1 << 20, 1 << 20)
    assert (memory["used"], memory["percent"]) == ((4 << 30) - (1 << 20), 100.0)


async def test_instructions_are_set_for_all_models_and_for_one(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    path = "/system/instructions"
    assert await get(client, path) == {"instructions": "", "model_id": "global"}
    changed = await post(client, path, {"instructions": "Be kind.", "model_id": None})
    assert changed == {"message": "Updated global system instructions"}
    changed = await post(client, path, {"instructions": "Be brief.", "model_id": "other"})
    assert changed == {"message": "Updated system instructions for model other"}
    assert await get(client, path) == {"instructions": "Be kind.", "model_id": "global"}
    assert await get(client, path + "?model_id=other") == {"instructions": "Be brief.", "model_id": "other"}
    assert await get(client, path + "?model_id=demo") == {"instructions": "Be kind.", "model_id": "demo"}
    await post(client, "/generate", {"prompt": "Hi"})
    turns = (Message(Role.SYSTEM, "Be kind."), Message(Role.USER, "Hi"))
    assert daemon.worker.requests[-1].prompt == ChatPrompt(turns)


async def test_instructions_are_reset_for_one_model_and_for_all(client: aiohttp.ClientSession) -> None:
    path = "/system/instructions"
    await post(client, path, {"instructions": "Be kind."})
    await post(client, path, {"instructions": "Be brief.", "model_id": "other"})
    reset = await post(client, path + "/reset?model_id=other")
    assert reset == {"message": "Reset system instructions for model other"}
    assert (await get(client, path + "?model_id=other"))["instructions"] == "Be kind."
    assert await post(client, path + "/reset") == {"message": "Reset system instructions for all models"}
    assert (await get(client, path))["instructions"] == ""


async def test_instructions_may_be_set_and_reset_by_any_name_of_a_model(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    await daemon.services.nicknames.give("microsoft/phi-2", entry_of("other"))
    path, asked = "/system/instructions", {"prompt": "x", "model_id": "microsoft/phi-2"}
    await post(client, path, {"instructions": "Be brief.", "model_id": "microsoft/phi-2"})
    for name in ("microsoft/phi-2", "other"):
        shown = await get(client, f"{path}?model_id={name}")
        assert shown == {"instructions": "Be brief.", "model_id": name}
    await post(client, "/generate", asked)
    prompt = daemon.worker.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages[0].content == "Be brief."
    await post(client, f"{path}/reset?model_id=microsoft/phi-2")
    assert (await get(client, f"{path}?model_id=other"))["instructions"] == ""


async def test_instructions_for_no_model_are_refused_and_those_of_a_former_one_can_be_reset(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    path = "/system/instructions"
    refused = await post(client, path, {"instructions": "Be brief.", "model_id": "nope"}, status=404)
    assert "There is no model nope" in refused["detail"]
    await daemon.services.instructions.set_text("nope", "Be brief.")
    assert (await get(client, f"{path}?model_id=nope"))["instructions"] == "Be brief."
    await post(client, f"{path}/reset?model_id=nope")
    assert (await get(client, f"{path}?model_id=nope"))["instructions"] == ""


async def test_very_long_instructions_are_refused(client: aiohttp.ClientSession) -> None:
    path, longest = "/system/instructions", "x" * MAX_INSTRUCTIONS
    refused = await post(client, path, {"instructions": longest + "x"}, status=400)
    assert refused["detail"] == "`instructions` must have at most 100000 characters."
    await post(client, path, {"instructions": longest})
    assert (await get(client, path))["instructions"] == longest


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"prompt": "x"}),
        ("/generate", {"prompt": "x", "stream": True}),
        ("/generate/batch", {"prompts": ["x"]}),
        ("/chat", {"messages": [{"role": "user", "content": "x"}]}),
    ],
)
async def test_a_prompt_that_does_not_fit_tells_of_the_instructions_before_it(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher, path: str, body: dict[str, Any]
) -> None:
    too_long = "The prompt has 3000 tokens, the context 2048."
    launcher.script = Script(deltas=(), failure=ContextOverflowError(too_long))
    assert (await post(client, path, body, status=413))["detail"] == too_long
    await post(client, "/system/instructions", {"instructions": "Be kind."})
    told = (await post(client, path, body, status=413))["detail"]
    assert told.startswith(f"{too_long} The system instructions count too")
    assert "POST /system/instructions/reset" in told


async def test_instructions_are_remembered(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    texts = [
        post(client, "/system/instructions", {"instructions": "Be brief.", "model_id": name})
        for name in ("demo", "other")
    ]
    await asyncio.gather(*texts)
    remembered = json.loads(daemon.services.paths.state_file.read_text("utf-8"))
    assert remembered["instructions"] == {"demo": "Be brief.", "other": "Be brief."}


async def test_home_is_json_for_programs_and_a_page_for_people(client: aiohttp.ClientSession) -> None:
    home = await get(client, "/")
    assert (home["name"], home["status"], home["model"]) == ("LocalLab", "running", None)
    async with client.get("/", headers={"Accept": "text/html,*/*"}) as answer:
        page = await answer.text()
        assert answer.content_type == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    lines = [line for line in page.splitlines() if line.startswith("<li>")]
    (locallab,) = [line for line in lines if DIALECT.title in line]
    assert locallab.endswith("Open to programs on this machine.</li>")
    (ollama,) = [line for line in lines if "Ollama" in line]
    assert ollama.endswith("Needs a key.</li>")
    assert 'href="/docs"' in page
    async with client.head("/") as answer:
        assert answer.status == 200
