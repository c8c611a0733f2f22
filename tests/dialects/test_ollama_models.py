"""Ollama's routes beside text, over raw HTTP: what its own client cannot send, and who may do what."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fakes.asking import get, post
from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.scripted_model import Script, ScriptedLauncher
from puna.api.ollama.models import OLLAMA_VERSION
from puna.api.vectors import MAX_INPUTS
from puna.config import Settings
from puna.domain.dialects import DialectName
from puna.domain.generation import FinishReason, TextDelta, ToolCallArguments, ToolCallBegin
from puna.keys.identity import Scope

ASKED = {"model": "demo", "messages": [{"role": "user", "content": "x"}]}
WHOLE = ASKED | {"stream": False}


@pytest.fixture
async def manager(daemon: RunningDaemon) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose key may manage too."""
    async with daemon.client(X_Api_Key=await daemon.make_key(Scope.INFER, Scope.MANAGE)) as session:
        yield session


async def delete(client: aiohttp.ClientSession, body: object, status: int = 200) -> str:
    async with client.delete("/api/delete", json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def copy(client: aiohttp.ClientSession, source: str, destination: str, status: int = 200) -> str:
    async with client.post("/api/copy", json={"source": source, "destination": destination}) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def names(client: aiohttp.ClientSession) -> list[str]:
    return [model["name"] for model in (await get(client, "/api/tags"))["models"]]


async def test_the_version_can_be_compared(keyed: aiohttp.ClientSession) -> None:
    told = await get(keyed, "/api/version")
    assert told == {"version": OLLAMA_VERSION}
    assert tuple(int(part) for part in told["version"].split(".")) > (0, 6, 4)
    async with keyed.head("/api/version") as answer:
        assert answer.status == 200


async def test_a_chat_needs_no_content_type(keyed: aiohttp.ClientSession) -> None:
    curl = {"Content-Type": "application/x-www-form-urlencoded"}
    async with keyed.post("/api/chat", data=json.dumps(WHOLE), headers=curl) as answer:
        assert (await answer.json())["message"] == {"role": "assistant", "content": "Hello world"}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"messages": [{"role": "wizard", "content": "x"}]}, "`messages[0].role` must be one of"),
        ({"messages": [{"content": "x"}]}, "`messages[0].role` is required."),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "user", "images": ["aGk="]}]},
            '"demo" does not support images: `messages[1].images`',
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
                ]
            },
            "`messages[0].tool_calls[0].function.arguments` must be an object.",
        ),
        ({"tools": [{"type": "function"}]}, "`tools[0].function` is required."),
        ({"tools": [{"type": "browser", "function": {"name": "f"}}]}, "`tools[0].type` must be function."),
        ({"tools": [{"function": {"name": "a b"}}]}, "`tools[0].function.name` must be 1 to 128 letters"),
        ({"format": "yaml"}, '`format` must be "json" or a JSON schema.'),
        ({"think": True}, '"demo" does not support thinking'),
        ({"keep_alive": "soon"}, "`keep_alive` must be"),
        ({"options": {"typical_p": 0.9}}, "`options.typical_p` is not supported"),
    ],
)
async def test_a_bad_chat_is_a_400_that_names_the_field(
    keyed: aiohttp.ClientSession, fields: dict[str, Any], complaint: str
) -> None:
    refused = await post(keyed, "/api/chat", ASKED | fields, status=400)
    assert refused["error"].startswith(complaint)
    assert refused["detail"] == refused["error"]


async def test_null_and_unknown_fields_break_nothing(keyed: aiohttp.ClientSession) -> None:
    nothing = dict.fromkeys(
        ("stream", "format", "options", "keep_alive", "think", "logprobs", "top_logprobs", "tools")
    )
    message = {"role": "user", "content": "x", "thinking": None, "images": None, "tool_calls": None}
    body = ASKED | nothing | {"messages": [message], "stream": False, "news": {"a": 1}, "shift": True}
    assert (await post(keyed, "/api/chat", body))["done_reason"] == "stop"


async def test_a_call_that_the_model_breaks_off_fails_the_answer(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    broken = (ToolCallBegin(0, "call_a", "look"), ToolCallArguments(0, '{"at": '))
    launcher.script = Script(deltas=(TextDelta("Well."), *broken))
    refused = await post(keyed, "/api/chat", WHOLE, status=422)
    assert refused["error"] == "The model broke off its call of the tool look; ask again."
    async with keyed.post("/api/chat", json=ASKED) as answer:
        *_, last = (await answer.text()).splitlines()
    assert json.loads(last) == {"error": refused["error"]}


async def test_a_call_that_was_cut_off_is_left_out(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    whole = (ToolCallBegin(0, "call_a", "look"), ToolCallArguments(0, "{}"))
    cut = (ToolCallBegin(1, "call_b", "look"), ToolCallArguments(1, '{"at": '))
    launcher.script = Script(deltas=(*whole, *cut), reason=FinishReason.LENGTH)
    answer = await post(keyed, "/api/chat", WHOLE)
    assert [call["id"] for call in answer["message"]["tool_calls"]] == ["call_a"]
    assert answer["done_reason"] == "length"


async def test_an_empty_input_only_loads_the_embedding_model(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    empty: list[dict[str, object]] = [{}, {"input": ""}, {"input": []}, {"input": None}]
    for fields in empty:
        answer = await post(keyed, "/api/embed", {"model": "embedder", "keep_alive": "5m"} | fields)
        assert answer["embeddings"] == []
    assert [each.entry.id for each in daemon.services.residency.residents()] == ["embedder"]
    assert daemon.worker.embedded == []


async def test_the_texts_of_a_library_are_embedded_a_part_at_a_time(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    texts = [chr(ord("a") + index % 26) * (index % 7 + 1) for index in range(4100)]
    answer = await post(keyed, "/api/embed", {"model": "embedder", "input": texts})
    assert [vector[:2] for vector in answer["embeddings"]] == [[len(text), ord(text[0])] for text in texts]
    assert answer["prompt_eval_count"] == 5 * 4100
    assert [len(each.inputs) for each in daemon.worker.embedded] == [2048, 2048, 4]


async def test_more_texts_than_memory_is_for_are_refused(keyed: aiohttp.ClientSession) -> None:
    body = {"model": "embedder", "input": ["x"] * (MAX_INPUTS + 1)}
    refused = await post(keyed, "/api/embed", body, status=400)
    assert refused["error"] == "`input` must have at most 16384 items."
    body = {"model": "embedder", "input": ["x"] * 3000 + [""]}
    refused = await post(keyed, "/api/embed", body, status=400)
    assert refused["error"] == "`input[3000]` is empty; give at least one character."


async def test_text_of_an_embedding_model_is_refused(keyed: aiohttp.ClientSession) -> None:
    refused = await post(keyed, "/api/chat", WHOLE | {"model": "embedder"}, status=400)
    assert "does not generate" in refused["error"]


async def test_a_name_survives_a_restart(tmp_path: Path) -> None:
    settings = Settings(open_dialects=(DialectName.OLLAMA,), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        assert await copy(client, "other", "mine:1b") == ""
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        assert "mine:1b" in await names(client)
        await post(client, "/api/chat", WHOLE | {"model": "mine:1b"})
        assert [each.entry.id for each in daemon.services.residency.residents()] == ["other"]


async def test_aliases_of_the_settings_are_listed_and_stay(tmp_path: Path) -> None:
    settings = Settings(
        open_dialects=(DialectName.OLLAMA,),
        rate_limits="off",
        model_aliases=("llama3.2:1b=demo", "gone=nothing"),
    )
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        listed = await names(client)
        assert "llama3.2:1b" in listed
        assert "gone:latest" not in listed
        assert "model_aliases" in await delete(client, {"model": "llama3.2:1b"}, status=400)
        assert "model_aliases" in await copy(client, "other", "llama3.2:1b", status=400)


async def test_a_model_in_memory_has_no_name_that_means_another_one(tmp_path: Path) -> None:
    settings = Settings(
        open_dialects=(DialectName.OLLAMA,), rate_limits="off", model_aliases=("demo:latest=other",)
    )
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        await post(client, "/api/generate", {"model": "demo"})
        assert [model["name"] for model in (await get(client, "/api/ps"))["models"]] == ["demo"]


async def test_the_name_of_a_model_is_taken(manager: aiohttp.ClientSession) -> None:
    for name in ("demo", "demo:latest", "org/model"):
        assert "must be a new name" in await copy(manager, "other", name, status=400)
    assert "model 'nope' not found" in await copy(manager, "nope", "mine", status=404)
    assert "letters, digits" in await copy(manager, "other", "a b", status=400)


async def test_an_added_file_is_forgotten(daemon: RunningDaemon, manager: aiohttp.ClientSession) -> None:
    await daemon.services.catalogue.add(Path("/downloads/mine.gguf"))
    assert "mine:latest" in await names(manager)
    await delete(manager, {"model": "mine:latest"})
    assert "mine:latest" not in await names(manager)
    assert "delete the file yourself" in await delete(manager, {"model": "other"}, status=400)
    assert "There is no model" in await delete(manager, {"model": "mine"}, status=404)


async def test_older_clients_say_name(manager: aiohttp.ClientSession) -> None:
    assert (await post(manager, "/api/show", {"name": "demo"}))["details"]["format"] == "gguf"
    assert await post(manager, "/api/pull", {"name": "demo", "stream": False}) == {"status": "success"}
    await copy(manager, "demo", "mine")
    await delete(manager, {"name": "mine:latest"})
    for path in ("/api/show", "/api/pull"):
        assert (await post(manager, path, {}, status=400))["error"] == "`model` is required."
    assert "missing request body" in await delete(manager, None, status=400)


async def test_a_pull_without_the_hub_says_that_it_cannot_be_reached(manager: aiohttp.ClientSession) -> None:
    for fields in ({}, {"stream": False}):
        async with manager.post("/api/pull", json={"model": "acme/none:Q8_0"} | fields) as answer:
            assert answer.status == 503
            assert "Retry-After" in answer.headers
            assert (await answer.json())["error"].startswith("Offline: ")


async def test_names_need_a_key_that_may_manage(keyed: aiohttp.ClientSession) -> None:
    assert "manage" in await copy(keyed, "other", "mine", status=403)
    assert "manage" in await delete(keyed, {"model": "demo"}, status=403)
    await post(keyed, "/api/pull", {"model": "demo"}, status=403)
    for path in ("/api/tags", "/api/ps", "/api/version"):
        await get(keyed, path)


async def test_no_blob_is_there_so_that_who_sends_it_learns_why_it_is_not_taken(
    manager: aiohttp.ClientSession,
) -> None:
    path = f"/api/blobs/sha256:{'0' * 64}"
    async with manager.head(path) as answer:
        assert answer.status == 404
    assert "model_folders" in (await get(manager, path, status=404))["error"]


async def test_a_large_file_is_refused_before_it_is_sent(manager: aiohttp.ClientSession) -> None:
    headers = {"Expect": "100-continue"}
    async with manager.post(
        f"/api/blobs/sha256:{'0' * 64}", data=io.BytesIO(b"x" * 20_000_000), headers=headers
    ) as answer:
        assert answer.status == 400
        assert "model_folders" in (await answer.json())["error"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer ollama"}], ids=str)
async def test_who_has_no_key_is_told_both_ways_in(
    client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with client.post("/api/chat", json=ASKED, headers=headers) as answer:
        assert answer.status == 401
        told = (await answer.json())["error"]
    assert "`puna keys create`" in told
    assert "OLLAMA_API_KEY" in told
    assert "add ollama to the setting open_dialects" in told


AGENTS = ["ollama/0.14.0 (amd64 linux) Go/go1.24", "ollama-python/0.6.3", "Ollama-js/0.6"]


@pytest.mark.parametrize("agent", AGENTS)
async def test_ollama_s_programs_find_ollama_at_home(
    client: aiohttp.ClientSession, keyed: aiohttp.ClientSession, agent: str
) -> None:
    async with keyed.get("/", headers={"User-Agent": agent}) as answer:
        assert (answer.status, await answer.text()) == (200, "Ollama is running")
        assert "User-Agent" in answer.headers["Vary"]
    async with keyed.head("/", headers={"User-Agent": agent}) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    async with client.get("/", headers={"User-Agent": agent}) as answer:
        assert answer.status == 401
        assert "add ollama to the setting open_dialects" in (await answer.json())["error"]
    assert (await get(client, "/"))["name"] == "LocalLab"


async def test_ollama_alone_may_be_open(tmp_path: Path) -> None:
    settings = Settings(open_dialects=(DialectName.OLLAMA,), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        async with client.head("/", headers={"User-Agent": AGENTS[0]}) as answer:
            assert answer.status == 200
        assert "locallab" in (await get(client, "/", status=401))["detail"]
