"""`/api/generate` over HTTP, for Spin-Up and Ollama: whole answers, streams, loading and unloading, failures."""

import json
import re
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from fakes.asking import post
from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, until
from fakes.scripted_model import Script, ScriptedLauncher, entry_of, text_of
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import FinishReason, TextPrompt
from puna.domain.models import ModelState
from puna.errors import ContextOverflowError, GenerationError, PunaError, WorkerDiedError
from puna.keys.identity import Scope

PATH = "/api/generate"
ASK = {"model": "demo", "prompt": "Why is the sky blue?"}
WHOLE = ASK | {"stream": False}


async def lines_of(client: aiohttp.ClientSession, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a stream as a client reads them that breaks on a blank one."""
    async with client.post(PATH, json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        stream = await answer.read()
    assert stream.isascii()
    assert stream.endswith(b"\n")
    return [json.loads(line) for line in stream.decode()[:-1].split("\n")]


async def test_an_answer_has_the_fields_of_document_and_ollama(keyed: aiohttp.ClientSession) -> None:
    answer = await post(keyed, PATH, WHOLE)
    assert re.fullmatch("[0-9a-f]{12}", answer["id"])
    assert datetime.fromisoformat(answer["created_at"]).tzinfo is not None
    durations = [answer[f"{name}_duration"] for name in ("total", "load", "prompt_eval", "eval")]
    assert all(isinstance(duration, int) and duration > 0 for duration in durations)
    assert {name: answer[name] for name in ("model", "response", "output", "done", "done_reason")} == {
        "model": "demo",
        "response": "Hello world",
        "output": "Hello world",
        "done": True,
        "done_reason": "stop",
    }
    assert (answer["prompt_eval_count"], answer["eval_count"]) == (5, 2)
    assert answer["usage"] == {"tokens": 7, "prompt_tokens": 5, "completion_tokens": 2}


async def test_a_stream_is_lines_of_json_and_the_default(keyed: aiohttp.ClientSession) -> None:
    async with keyed.post(PATH, json=ASK) as answer:
        stream = (await answer.read()).decode()
    shape = re.sub(
        r'"(id|created_at)":"[^"]*"', r'"\1":"-"', re.sub(r'_duration":\d+', '_duration":1', stream)
    )
    shape = re.sub(r'"context":\[\d+(,\d+)*\]', '"context":[]', shape)
    assert shape == (
        '{"id":"-","model":"demo","created_at":"-","response":"Hello","output":"Hello","done":false}\n'
        '{"id":"-","model":"demo","created_at":"-","response":" world","output":" world","done":false}\n'
        '{"id":"-","model":"demo","created_at":"-","response":"","output":"","done":true,"done_reason":"stop",'
        '"context":[],"total_duration":1,"load_duration":1,"prompt_eval_count":5,"prompt_eval_duration":1,"eval_count":2,'
        '"eval_duration":1,"usage":{"tokens":7,"prompt_tokens":5,"completion_tokens":2}}\n'
    )


async def test_all_lines_of_a_stream_have_one_id(keyed: aiohttp.ClientSession) -> None:
    first = {line["id"] for line in await lines_of(keyed, ASK)}
    second = {line["id"] for line in await lines_of(keyed, ASK)}
    assert (len(first), len(second), len(first | second)) == (1, 1, 2)


async def test_each_line_is_a_write_of_its_own(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(deltas=TRAP)
    async with keyed.post(PATH, json=ASK) as answer:
        chunks = [chunk async for chunk, _ in answer.content.iter_chunks() if chunk]
    assert [chunk for chunk in chunks if not chunk.endswith(b"\n")] == []


async def test_the_joined_stream_is_the_whole_text(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(deltas=TRAP)
    assert (await post(keyed, PATH, WHOLE))["response"] == TRAP_TEXT
    lines = await lines_of(keyed, ASK | {"stream": True})
    assert "".join(line["response"] for line in lines) == TRAP_TEXT
    assert "".join(line["output"] for line in lines) == TRAP_TEXT


async def test_a_text_that_was_cut_says_so(keyed: aiohttp.ClientSession, launcher: ScriptedLauncher) -> None:
    launcher.script = Script(reason=FinishReason.LENGTH)
    assert (await post(keyed, PATH, WHOLE))["done_reason"] == "length"
    assert (await lines_of(keyed, ASK))[-1]["done_reason"] == "length"


async def test_a_body_needs_no_content_type(daemon: RunningDaemon, keyed: aiohttp.ClientSession) -> None:
    curl = {"Content-Type": "application/x-www-form-urlencoded"}
    async with keyed.post(PATH, data=json.dumps(WHOLE), headers=curl) as answer:
        assert (await answer.json())["response"] == "Hello world"


async def test_options_and_format_reach_the_worker(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    await post(keyed, PATH, WHOLE | {"raw": True, "format": "json", "options": {"num_predict": 3, "seed": 1}})
    (request,) = daemon.worker.requests
    assert (request.prompt, request.max_tokens, request.sampling.seed) == (TextPrompt(ASK["prompt"]), 3, 1)
    assert request.constraint == JsonSchemaConstraint('{"type":"object"}')


@pytest.mark.parametrize("body", [{"model": "other"}, {"model": "other", "prompt": "", "keep_alive": "5m"}])
async def test_no_prompt_only_loads(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    answer = await post(keyed, PATH, body)
    assert (answer["response"], answer["done"], answer["done_reason"]) == ("", True, "load")
    assert [each.entry.id for each in daemon.services.residency.residents()] == ["other"]
    assert daemon.worker.requests == []


async def test_no_prompt_and_no_time_to_live_unloads(daemon: RunningDaemon) -> None:
    key = await daemon.make_key(Scope.INFER, Scope.MANAGE)
    async with daemon.client(Authorization=f"Bearer {key}") as client:
        await post(client, PATH, {"model": "other"})
        for _ in range(2):
            answer = await post(client, PATH, {"model": "other:latest", "keep_alive": 0})
            assert answer["done_reason"] == "unload"
            assert daemon.services.residency.residents() == ()
        await post(client, PATH, {"model": "nope", "keep_alive": 0}, status=404)


async def test_a_model_that_answers_somebody_is_unloaded_behind_the_answer(daemon: RunningDaemon) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    key = await daemon.make_key(Scope.INFER, Scope.MANAGE)
    async with daemon.client(Authorization=f"Bearer {key}") as client:
        async with client.post(PATH, json=ASK | {"keep_alive": "1h"}) as answer:
            await answer.content.readline()
            assert (await post(client, PATH, {"model": "demo", "keep_alive": 0}))["done_reason"] == "unload"
            assert (daemon.worker.running, daemon.worker.is_alive) == (1, True)
            answer.close()
        await until(lambda: daemon.services.residency.residents() == ())
    assert not daemon.worker.is_alive


async def test_unloading_needs_a_key_that_may_manage(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    await post(keyed, PATH, {"model": "other"})
    refused = await post(keyed, PATH, {"model": "other", "keep_alive": "0s"}, status=403)
    assert "manage" in refused["error"]
    assert [each.state for each in daemon.services.residency.residents()] == [ModelState.READY]
    async with daemon.client(Authorization=f"Bearer {ADMIN_TOKEN}") as admin:
        await post(admin, PATH, {"model": "other", "keep_alive": 0})


async def test_a_prompt_with_no_time_to_live_is_answered(keyed: aiohttp.ClientSession) -> None:
    assert (await post(keyed, PATH, WHOLE | {"keep_alive": 0}))["response"] == "Hello world"


async def test_a_name_without_a_tag_is_the_latest_and_is_echoed_as_written(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.services.catalogue.known["tiny:latest"] = entry_of("tiny:latest")  # type: ignore[attr-defined]
    for name in ("demo:latest", "demo", "tiny", "tiny:latest"):
        assert (await post(keyed, PATH, WHOLE | {"model": name}))["model"] == name
    assert {each.entry.id for each in daemon.services.residency.residents()} == {"demo", "tiny:latest"}


@pytest.mark.parametrize("extra", [{}, {"stream": False}, {"prompt": ""}, {"prompt": "", "keep_alive": 10}])
async def test_an_unknown_model_is_a_404_with_the_nearest_names(
    keyed: aiohttp.ClientSession, extra: dict[str, Any]
) -> None:
    answer = await post(keyed, PATH, ASK | {"model": "nope:latest"} | extra, status=404)
    assert answer["error"] == (
        "model 'nope:latest' not found: There is no model nope:latest; the nearest is demo."
    )
    assert answer["detail"] == answer["error"]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("", "missing request body"),
        ("  \n", "missing request body"),
        ("{", "The body is not valid JSON"),
        ("[]", "The body must be an object."),
        ('{"prompt":"x"}', "`model` is required."),
        ('{"model":"demo","prompt":"x","think":true}', '"demo" does not support thinking'),
        ('{"model":"demo","prompt":"x","keep_alive":"soon"}', "`keep_alive` must be"),
        ('{"model":"demo","prompt":"x","options":{"top_p":2}}', "`options.top_p` must be"),
    ],
)
async def test_a_bad_body_is_a_400(keyed: aiohttp.ClientSession, body: str, complaint: str) -> None:
    async with keyed.post(PATH, data=body) as answer:
        assert answer.status == 400
        assert answer.content_type == "application/json"
        assert (await answer.json())["error"].startswith(complaint)


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}, {"Authorization": "Bearer wrong"}], ids=str)
async def test_without_a_key_nothing_is_answered(
    daemon: RunningDaemon, client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with client.post(PATH, json=ASK, headers=headers) as answer:
        assert answer.status == 401
        assert isinstance((await answer.json())["error"], str)
    assert daemon.services.residency.residents() == ()


async def test_a_key_may_be_a_bearer_token_too(daemon: RunningDaemon, key: str) -> None:
    async with daemon.client(Authorization=f"Bearer {key}") as client:
        await post(client, PATH, WHOLE)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (ContextOverflowError("The prompt has 3000 tokens, the context 2048."), 413),
        (GenerationError("The template says no."), 422),
        (WorkerDiedError("The worker was killed by signal 9."), 500),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_failure_before_the_first_token_has_its_status(
    keyed: aiohttp.ClientSession,
    launcher: ScriptedLauncher,
    failure: PunaError,
    status: int,
    is_stream: bool,
) -> None:
    launcher.script = Script(deltas=(), failure=failure)
    answer = await post(keyed, PATH, ASK | {"stream": is_stream}, status=status)
    assert answer == {"error": failure.message, "detail": failure.message}


async def test_a_failure_in_mid_stream_is_the_last_line(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    *lines, last = await lines_of(keyed, ASK)
    assert "".join(line["response"] for line in lines) == "Hello world"
    assert last == {"error": "The worker was killed by signal 9."}


async def test_a_client_that_leaves_frees_its_slot(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = lambda request: Script(is_stalled=text_of(request) == "stall")
    async with keyed.post(PATH, json=ASK | {"prompt": "stall"}) as answer:
        await answer.content.readline()
        answer.close()
    await until(lambda: daemon.worker.aborted == 1)
    await post(keyed, PATH, WHOLE)


async def test_other_routes_of_ollama_are_told_in_ollama_s_way(keyed: aiohttp.ClientSession) -> None:
    for path in ("/api/me", "/api/nope", "/api"):
        async with keyed.get(path) as answer:
            assert answer.status == 404
            assert await answer.json() == {"error": "Not Found", "detail": "Not Found"}
    async with keyed.get(PATH) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
