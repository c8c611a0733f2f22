"""One real daemon serves the model of another: all dialects, leaving clients, and an engine that dies and returns."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from process.conftest import RunningDaemon, environment, wait_until
from puna.instance import read_endpoint
from puna.paths import Paths

OPEN = (
    "--open-dialect=openai",
    "--open-dialect=ollama",
    "--open-dialect=anthropic",
    "--open-dialect=locallab",
    "--open-dialect=lamini",
)
PROMPT = [{"role": "user", "content": "Tell me a story."}]
GREEDY = {"temperature": 0, "max_tokens": 24}
STORY = {
    "model": "big",
    "prompt": "Once upon a time",
    "stream": True,
    "temperature": 2.0,
    "top_k": 1000,
    "logit_bias": {"0": -100, "2": -100},
    "max_tokens": 1900,
}
"""Without the ends of the demo model: it is still told when a test comes to it."""
LOCAL = ("/models", "/models/current", "/models/status/big", "/system/info", "/health")
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@contextmanager
def serving(home: Path, *flags: str, **variables: str) -> Iterator[RunningDaemon]:
    """Run a daemon with a home of its own."""
    paths = Paths.under(home)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "puna", "serve", *flags],
        env=environment(home) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        wait_until(lambda: _answers(process, paths))
        endpoint = read_endpoint(paths.endpoint_file)
        assert endpoint is not None
        daemon = RunningDaemon(process, endpoint, paths)
        yield daemon
        if process.poll() is None:
            assert daemon.stop() == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _answers(process: "subprocess.Popen[str]", paths: Paths) -> bool:
    assert process.poll() is None, "the daemon ended"
    endpoint = read_endpoint(paths.endpoint_file)
    return endpoint is not None and endpoint.pid == process.pid


@pytest.fixture
def second(tmp_path: Path) -> Iterator[RunningDaemon]:
    """The engine: the demo model, for who has a key."""
    with serving(tmp_path / "second", "--port", "0", "--open-dialect=none") as daemon:
        daemon.wait_for_model()
        yield daemon


@pytest.fixture
def key(second: RunningDaemon, tmp_path: Path) -> str:
    made = subprocess.run(
        [sys.executable, "-P", "-m", "puna", "keys", "create", "--name", "first"],
        env=environment(tmp_path / "second"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return next(word for word in made.stdout.split() if word.startswith("puna_"))


@pytest.fixture
def first(second: RunningDaemon, key: str, tmp_path: Path) -> Iterator[RunningDaemon]:
    """The daemon that people talk to; it has a remote model and runs none itself."""
    line = f"big={second.url} key_variable=SECOND_PUNA model=demo first_event_timeout_s=60"
    flags = ("--port", "0", "--model=big", f"--remote-model={line}", *OPEN)
    with serving(tmp_path / "first", *flags, SECOND_PUNA=key) as daemon:
        yield daemon


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, daemon: RunningDaemon, path: str, body: object, key: str = ""
) -> dict[str, object]:
    headers = {"X-Api-Key": key} if key else {}
    async with session.post(f"{daemon.url}{path}", json=body, headers=headers) as response:
        answer = await response.json()
        assert response.status == 200, answer
        assert isinstance(answer, dict)
        return answer


def text_of(answer: dict[str, object]) -> str:
    choices = answer["choices"]
    assert isinstance(choices, list)
    return str(choices[0]["message"]["content"])


async def test_every_dialect_says_what_the_second_puna_says(
    first: RunningDaemon, second: RunningDaemon, key: str, session: aiohttp.ClientSession
) -> None:
    chat = {"messages": PROMPT, **GREEDY}
    there = await ask(session, second, "/v1/chat/completions", {"model": "demo", **chat}, key)
    here = await ask(session, first, "/v1/chat/completions", {"model": "big", **chat})
    text = text_of(there)
    assert text
    assert text_of(here) == text
    assert _counts(here) == _counts(there)

    ollama = {
        "model": "big",
        "messages": PROMPT,
        "stream": False,
        "options": {"temperature": 0, "num_predict": 24},
    }
    message = (await ask(session, first, "/api/chat", ollama))["message"]
    assert isinstance(message, dict)
    assert message["content"] == text

    anthropic = await ask(session, first, "/v1/messages", {"model": "big", **chat})
    assert isinstance(anthropic["content"], list)
    assert anthropic["content"][0]["text"] == text

    raw = {"model": "big", "prompt": "Once upon a time", **GREEDY}
    texts = [
        (await ask(session, daemon, "/v1/completions", raw | {"model": model}, secret))["choices"]
        for daemon, model, secret in ((first, "big", ""), (second, "demo", key))
    ]
    assert texts[0] == texts[1]

    answer = await ask(session, first, "/v1/responses", {"model": "big", "input": PROMPT, "temperature": 0})
    assert isinstance(answer["output"], list)
    assert answer["output"][-1]["content"][0]["text"].startswith(text)

    typed = {"model_name": "big", "prompt": "A person.", "output_type": {"age": "int"}, "max_tokens": 50}
    assert isinstance((await ask(session, first, "/v1/completions", typed))["age"], int)

    local = {"prompt": "Once upon a time", "max_length": 24, "do_sample": False, "stream": False}
    assert (await ask(session, first, "/generate", local))["response"]
    assert first.workers == []


def _counts(answer: dict[str, object]) -> tuple[int, int]:
    usage = answer["usage"]
    assert isinstance(usage, dict)
    return usage["prompt_tokens"], usage["completion_tokens"]


async def test_schemas_tools_and_token_counts_reach_the_second_puna(
    first: RunningDaemon, second: RunningDaemon, key: str, session: aiohttp.ClientSession
) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
    body = {
        "model": "big",
        "messages": PROMPT,
        "response_format": shape,
        "max_tokens": 200,
        "temperature": 1.5,
    }
    person = json.loads(text_of(await ask(session, first, "/v1/chat/completions", body)))
    assert person.keys() == {"name", "age"}

    tool = {"type": "function", "function": {"name": "save_person", "parameters": SCHEMA}}
    body = {"model": "big", "messages": PROMPT, "tools": [tool], "tool_choice": "required", "max_tokens": 200}
    answer = await ask(session, first, "/v1/chat/completions", body)
    assert isinstance(answer["choices"], list)
    (call,) = answer["choices"][0]["message"]["tool_calls"][:1]
    assert call["function"]["name"] == "save_person"
    assert json.loads(call["function"]["arguments"]).keys() == {"name", "age"}
    assert answer["choices"][0]["finish_reason"] == "tool_calls"

    counts = [
        (
            await ask(
                session, daemon, "/v1/messages/count_tokens", {"model": model, "messages": PROMPT}, secret
            )
        )
        for daemon, model, secret in ((first, "big", ""), (second, "demo", key))
    ]
    assert counts[0] == counts[1]


async def test_who_leaves_here_frees_the_slot_there(
    first: RunningDaemon, second: RunningDaemon, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"{first.url}/v1/completions", json=STORY) as response:
        await response.content.readany()
        await asyncio.to_thread(wait_until, lambda: second.status.models[0].busy_slots == 1)
        response.close()
    await asyncio.to_thread(wait_until, lambda: second.status.models[0].busy_slots == 0)
    await asyncio.to_thread(wait_until, lambda: first.status.models[0].busy_slots == 0)


async def test_a_request_that_comes_back_to_a_puna_is_refused_there(
    first: RunningDaemon, second: RunningDaemon, session: aiohttp.ClientSession
) -> None:
    body = {"model": "big", "messages": PROMPT, **GREEDY}
    for daemon in (first, second):
        headers = {"Puna-Via": f"elsewhere, {daemon.endpoint.instance}"}
        async with session.post(f"{first.url}/v1/chat/completions", json=body, headers=headers) as response:
            assert response.status == 400
            refusal = (await response.json())["error"]["message"]
        assert "comes back to where it began" in refusal
        assert ("The engine of big refuses" in refusal) == (daemon is second)
    assert text_of(await ask(session, first, "/v1/chat/completions", body))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_an_engine_that_dies_ends_its_answers_and_serves_again_once_it_is_back(
    first: RunningDaemon, second: RunningDaemon, key: str, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    body = {"model": "big", "messages": PROMPT, **GREEDY}
    url = f"{first.url}/v1/chat/completions"
    async with session.post(f"{first.url}/v1/completions", json=STORY) as response:
        await response.content.readany()
        workers = second.workers
        os.kill(second.process.pid, signal.SIGKILL)
        rest = (await response.content.read()).decode()
        assert "ended the connection before the answer was complete" in rest
    second.process.wait(60)
    for worker in workers:
        worker.wait(60)
    for _ in range(4):
        async with session.post(url, json=body) as response:
            assert response.status >= 500
            refusal = (await response.json())["error"]["message"]
            assert f"at {second.url} cannot be reached" in refusal
    with serving(tmp_path / "second", "--port", str(second.endpoint.port), "--open-dialect=none"):
        assert text_of(await ask(session, first, "/v1/chat/completions", body))


async def test_the_key_is_in_no_log_answer_or_command(
    first: RunningDaemon, key: str, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    await ask(session, first, "/v1/chat/completions", {"model": "big", "messages": PROMPT, **GREEDY})
    written = b"".join(file.read_bytes() for file in (tmp_path / "first").rglob("*") if file.is_file())
    assert key.encode() not in written
    for path in ("/v1/models", "/v1/models/big", "/models/available", "/api/tags", "/api/ps", *LOCAL):
        async with session.get(f"{first.url}{path}") as response:
            assert key not in await response.text()
            assert response.status == 200, path
    described = await ask(session, first, "/api/show", {"model": "big"})
    assert key not in str(described)
    shown = await asyncio.to_thread(_run, tmp_path / "first", "status")
    shown += await asyncio.to_thread(_run, tmp_path / "first", "ls")
    assert "big" in shown
    assert key not in shown


def _run(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "puna", *arguments]
    done = subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


async def test_a_wrong_key_is_a_matter_of_the_settings_and_not_the_callers(
    second: RunningDaemon, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    line = f"big={second.url} model=demo"
    with serving(tmp_path / "first", "--port", "0", "--model=big", f"--remote-model={line}", *OPEN) as first:
        body = {"model": "big", "messages": PROMPT, **GREEDY}
        async with session.post(f"{first.url}/v1/chat/completions", json=body) as response:
            assert response.status == 500
            refusal = (await response.json())["error"]["message"]
        assert "does not take Puna's key (status 401)" in refusal
        log = first.paths.daemon_log
        await asyncio.to_thread(wait_until, lambda: "does not take Puna's key" in log.read_text("utf-8"))


async def test_rpc_servers_where_this_llama_cpp_has_none_are_said_at_the_load(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with serving(tmp_path / "first", "--port", "0", "--rpc-server=127.0.0.1:1", *OPEN) as first:
        body = {"model": "demo", "messages": PROMPT, **GREEDY}
        async with session.post(f"{first.url}/v1/chat/completions", json=body) as response:
            assert response.status == 500
            refusal = (await response.json())["error"]["message"]
        assert "rpc_servers needs a llama.cpp with RPC, and this one was built without" in refusal
        assert first.workers == []
