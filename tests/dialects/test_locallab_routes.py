"""LocalLab over HTTP: text, whole and streamed, for one prompt and for many."""

import json
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from fakes.asking import get, post, stream
from fakes.locallab_readers import chat_text, read_as_python_chat_client, read_as_python_client
from fakes.running_daemon import RunningDaemon, run_daemon, until
from fakes.scripted_model import LOADED, Script, ScriptedLauncher, entry_of, text_of
from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, FinishReason, TextPrompt
from puna.errors import ContextOverflowError, GenerationError, GenerationTimeoutError, WorkerDiedError

EXAMPLES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "locallab_examples.json").read_text("utf-8")
)
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
NO_MODEL = "No model is currently loaded. Please load a model first using POST /models/load."
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("route", "body"),
    [(route, body) for route, bodies in EXAMPLES.items() for body in bodies],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_document_s_examples_work(
    daemon: RunningDaemon, client: aiohttp.ClientSession, route: str, body: dict[str, Any]
) -> None:
    daemon.services.catalogue.known["microsoft/phi-2"] = entry_of("microsoft/phi-2")  # type: ignore[attr-defined]
    method, path = route.split()
    async with client.request(method, path, json=body) as answer:
        assert answer.status == 200
        text = await answer.text()
    if body.get("stream"):
        assert text.endswith(("data: [DONE]\n\n", 'data: [DONE]\n"[DONE]"\n\n'))
    else:
        assert json.loads(text)


@pytest.mark.parametrize("path", ["/models/current", "/models/available", "/system/info", "/health"])
async def test_the_document_s_get_examples_work(client: aiohttp.ClientSession, path: str) -> None:
    await post(client, "/models/load", {"model_id": "demo"})
    assert await get(client, path)


async def test_generate_answers_for_document_and_real_clients(client: aiohttp.ClientSession) -> None:
    assert await post(client, "/generate", {"prompt": "Hi"}) == {
        "response": "Hello world",
        "text": "Hello world",
        "model": "demo",
        "model_id": "demo",
        "usage": USAGE,
    }


async def test_chat_answers_like_openai(client: aiohttp.ClientSession, launcher: ScriptedLauncher) -> None:
    launcher.script = Script(reason=FinishReason.LENGTH)
    message = {"role": "assistant", "content": "Hello world"}
    assert await post(client, "/chat", {"messages": HELLO}) == {
        "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        "model": "demo",
        "usage": USAGE,
    }


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_generate_streams_its_exact_bytes(client: aiohttp.ClientSession, path: str) -> None:
    sent = await stream(client, path, {"prompt": "Hi", "stream": True})
    assert sent == b"data: Hello\n\ndata:  world\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
async def test_chat_streams_its_exact_bytes(client: aiohttp.ClientSession, path: str) -> None:
    assert await stream(client, path, {"messages": HELLO, "stream": True}) == (
        b'data: Hello\n{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
        b'data:  world\n{"choices":[{"index":0,"delta":{"content":" world"},"finish_reason":null}]}\n\n'
        b'data: [DONE]\n"[DONE]"\n\n'
    )


async def test_the_stream_aliases_stream_unasked(client: aiohttp.ClientSession) -> None:
    assert (await stream(client, "/generate/stream", {"prompt": "Hi"})).endswith(b"data: [DONE]\n\n")
    assert (await stream(client, "/chat/stream", {"messages": HELLO})).endswith(b'"[DONE]"\n\n')


async def test_each_event_is_a_write_of_its_own(client: aiohttp.ClientSession) -> None:
    async with client.post("/generate", json={"prompt": "Hi", "stream": True}) as answer:
        chunks = [chunk async for chunk, _ in answer.content.iter_chunks() if chunk]
    assert [chunk for chunk in chunks if not chunk.endswith(b"\n\n")] == []


async def test_a_batch_runs_together_and_keeps_its_order(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = lambda request: Script(deltas=("re: ", text_of(request)), prompt_tokens=1)
    prompts = [f"prompt {number}" for number in range(12)]
    answer = await post(client, "/generate/batch", {"prompts": prompts})
    assert answer == {
        "responses": [f"re: {prompt}" for prompt in prompts],
        "model": "demo",
        "usage": {"prompt_tokens": 12, "completion_tokens": 24, "total_tokens": 36},
    }
    assert daemon.worker.most_at_once == len(prompts)


async def test_one_failure_in_a_batch_ends_the_others(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = lambda request: (
        Script(failure=GenerationError("llama.cpp says no"))
        if text_of(request) == "b"
        else Script(is_stalled=True)
    )
    answer = await post(client, "/generate/batch", {"prompts": ["a", "b", "c"]}, status=500)
    assert answer["detail"] == "llama.cpp says no"
    assert daemon.worker.aborted == 2
    assert daemon.worker.running == 0


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (ContextOverflowError("The prompt has 3000 tokens, the context 2048."), 413, "3000"),
        (GenerationError("The chat template refused it."), 500, "template"),
        (WorkerDiedError("The worker was killed by signal 9."), 500, "signal 9"),
        (GenerationTimeoutError("Timeout after 600 s."), 504, "time limit after 600 s"),
        (GenerationTimeoutError("Raise load_timeout_s."), 504, "Raise load_time-out_s (without the hyphen)."),
        (RuntimeError("a bug at /home/someone"), 500, "Internal error; see `puna logs`"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_failure_before_the_first_token_has_its_status(
    client: aiohttp.ClientSession,
    launcher: ScriptedLauncher,
    failure: Exception,
    status: int,
    message: str,
    is_stream: bool,
) -> None:
    launcher.script = Script(deltas=(), failure=failure)
    answer = await post(client, "/generate", {"prompt": "x", "stream": is_stream}, status=status)
    assert message in answer["detail"]
    assert answer["detail"] == answer["error"]
    assert "/home" not in answer["detail"]


async def test_a_failure_in_mid_stream_is_an_event(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    plain = await stream(client, "/generate", {"prompt": "x", "stream": True})
    assert read_as_python_client(plain) == ["Hello", " world", "\nError: The worker was killed by signal 9."]
    chat = read_as_python_chat_client(await stream(client, "/chat", {"messages": HELLO, "stream": True}))
    assert chat_text(chat[:-1]) == "Hello world"
    assert chat[-1] == {"error": "The worker was killed by signal 9."}


async def test_a_bug_in_mid_stream_is_an_event_without_detail(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(failure=RuntimeError("a bug at /home/someone"))
    sent = await stream(client, "/generate", {"prompt": "x", "stream": True})
    assert b"Internal error" in sent
    assert b"/home" not in sent
    assert sent.endswith(b"data: [DONE]\n\n")


async def test_a_text_that_was_cut_off_is_no_success(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(reason=FinishReason.ABORT)
    await post(client, "/generate", {"prompt": "x"}, status=503)
    sent = await stream(client, "/generate", {"prompt": "x", "stream": True})
    assert b"[ERROR] The text was cut off" in sent


async def test_a_prompt_is_a_turn_for_a_chat_model_and_bare_text_for_a_base_model(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    await post(client, "/generate", {"prompt": "Once"})
    await post(client, "/generate", {"prompt": "Once", "raw": True})
    daemon.launcher.loaded = structs.replace(LOADED, has_chat_template=False)
    chat_worker = daemon.worker
    await post(client, "/generate", {"prompt": "Once", "model_id": "other"})
    assert [request.prompt for request in chat_worker.requests] == [
        ChatPrompt((Message(Role.USER, "Once"),)),
        TextPrompt("Once"),
    ]
    assert daemon.worker.requests[0].prompt == TextPrompt("Once")


async def test_model_id_picks_the_model_and_null_the_current_one(client: aiohttp.ClientSession) -> None:
    assert (await post(client, "/generate", {"prompt": "x", "model_id": None}))["model"] == "demo"
    assert (await post(client, "/generate", {"prompt": "x", "model_id": "org/model"}))["model"] == "org/model"
    assert (await post(client, "/chat", {"messages": HELLO, "modelId": "other"}))["model"] == "other"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"prompt": "x", "model_id": "nope"}),
        ("/generate", {"prompt": "x", "model_id": "nope", "stream": True}),
        ("/chat", {"messages": HELLO, "model_id": "nope"}),
        ("/generate/batch", {"prompts": ["x"], "model_id": "nope"}),
        ("/models/load", {"model_id": "nope"}),
        ("/models/load/nope", None),
    ],
)
async def test_an_unknown_model_is_a_404(client: aiohttp.ClientSession, path: str, body: object) -> None:
    assert "There is no model nope" in (await post(client, path, body, status=404))["detail"]


async def test_without_any_model_the_client_is_told_what_to_do(tmp_path: Path) -> None:
    async with run_daemon(tmp_path, model=None) as daemon, daemon.client() as client:
        for path, body in {"/generate": {"prompt": "x"}, "/chat": {"messages": HELLO}}.items():
            assert (await post(client, path, body, status=400))["detail"] == NO_MODEL


async def test_answers_tell_their_time_and_number(client: aiohttp.ClientSession) -> None:
    for number, body in enumerate([{"prompt": "x"}, {"prompt": "x", "stream": True}, {}], start=1):
        began_s = time.monotonic()
        async with client.post("/generate", json=body) as answer:
            await answer.read()
            told, took_s = answer.headers["X-Process-Time"], time.monotonic() - began_s
            assert answer.headers["X-Request-Count"] == str(number)
            assert re.fullmatch(r"\d+\.\d{4}", told)
            assert float(told) <= took_s + 0.001


async def test_a_wrong_method_is_a_405_with_the_right_ones(client: aiohttp.ClientSession) -> None:
    async with client.get("/generate") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert await answer.json() == {"detail": "Method Not Allowed", "error": "Method Not Allowed"}
    async with client.delete("/models/current") as answer:
        assert answer.headers["Allow"] == "GET, HEAD"


async def test_a_wrong_path_is_a_404_in_json(client: aiohttp.ClientSession) -> None:
    for path in ("/nope", "/models/nope/nope", "/generate/", "/ws", "/%00", "/x//y"):
        assert await get(client, path, status=404) == {"detail": "Not Found", "error": "Not Found"}


async def test_requests_leave_one_line_in_the_log(
    daemon: RunningDaemon, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="puna.access"):
        await post(client, "/generate?key=secret", {"prompt": "x"})
        await until(lambda: len(caplog.messages) == 1)
    line = caplog.messages[0]
    assert line.startswith("POST /generate locallab 200 ")
    assert line.endswith("5+2 tokens")
