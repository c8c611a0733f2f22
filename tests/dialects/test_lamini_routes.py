"""Lamini over HTTP: whole answers, polled streams and batches, failures with its own statuses."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

import aiohttp
import pytest

import puna
from fakes.asking import get, post
from fakes.running_daemon import RunningDaemon, until
from fakes.scripted_model import Script, ScriptedLauncher, ScriptedWorker, text_of
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.api.lamini import polls as limits
from puna.api.lamini.polls import POLLS
from puna.api.lamini.progress import Progress
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Priority,
    TextDelta,
    Usage,
)
from puna.errors import (
    ContextOverflowError,
    GenerationError,
    GenerationTimeoutError,
    OverloadedError,
    PunaError,
    WorkerDiedError,
)

CARL = "How old is Carl, the llama with a hat?"
ASK = {"model_name": "demo", "prompt": CARL}
TYPED = ASK | {"out_type": {"age": "int", "units": "str"}}
OBJECT = {"age": 10, "units": "years"}
CLIENT = {"Lamini-Version": "3.4.6"}
STREAM, BATCH, OLD_STREAM = "/v3/streaming_completions", "/v1/batch_completions", "/v1/streaming_completions"


def typed(*objects: str) -> Script:
    return Script(deltas=objects or ('{"age":', '10,"units":"years"}'))


def echo(request: GenerationRequest) -> Script:
    return Script(deltas=("re: ", text_of(request)))


async def submit(client: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> str:
    """Begin a stream or batch and return where its result is."""
    poll_id = (await post(client, path, body))["id"]
    return f"{path}/{poll_id}/result"


async def poll(client: aiohttp.ClientSession, path: str) -> list[dict[str, Any]]:
    """Ask until all reasons are there and return every answer."""
    answers: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while not answers or not answers[-1] or None in answers[-1]["finish_reason"]:
            answers.append(await get(client, path))
    return answers


async def text_for_old_client(client: aiohttp.ClientSession) -> str:
    """Send the request again and again, until its text is whole."""
    async with asyncio.timeout(60):
        while (answer := await post(client, OLD_STREAM, ASK))["status"] == [False]:
            await asyncio.sleep(0)
    return str(answer["data"][0]["output"])


def progresses(daemon: RunningDaemon) -> list[Progress]:
    """Return how far the polled requests are."""
    return [poll.progress for poll in daemon.app[POLLS]._polls.values()]


async def test_a_prompt_gets_its_text(keyed: aiohttp.ClientSession, launcher: ScriptedLauncher) -> None:
    launcher.script = Script(deltas=TRAP)
    assert await post(keyed, "/v1/completions", ASK) == {"output": TRAP_TEXT}


async def test_a_list_gets_a_list_in_its_order(daemon: RunningDaemon, keyed: aiohttp.ClientSession) -> None:
    daemon.launcher.script = echo
    prompts = [f"prompt {number}" for number in range(20)]
    answer = await post(keyed, "/v1/completions", ASK | {"prompt": prompts})
    assert answer == [{"output": f"re: {prompt}"} for prompt in prompts]
    assert daemon.worker.most_at_once == daemon.worker.loaded.slots
    assert await post(keyed, "/v1/completions", ASK | {"prompt": ["one"]}) == [{"output": "re: one"}]


@pytest.mark.parametrize("field", ["out_type", "output_type"])
async def test_a_typed_prompt_gets_one_object(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, field: str
) -> None:
    daemon.launcher.script = typed()
    answer = await post(keyed, "/v1/completions", ASK | {field: {"age": "int", "units": "str"}})
    assert answer == OBJECT
    assert list(answer) == ["age", "units"]
    assert isinstance(daemon.worker.requests[0].constraint, JsonSchemaConstraint)


async def test_a_typed_list_gets_a_list_of_objects(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = typed()
    assert await post(keyed, "/v1/completions", TYPED | {"prompt": [CARL, "Paul?"]}) == [OBJECT, OBJECT]


async def test_numbers_are_told_in_their_type(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = typed('{"height":2,"years":2}')
    body = ASK | {"out_type": {"height": "float", "years": "int"}}
    async with keyed.post("/v1/completions", json=body) as answer:
        assert await answer.text() == '{"height":2.0,"years":2}'


async def test_version_2_tells_why_each_text_ended(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = lambda request: Script(
        deltas=(text_of(request),),
        reason=FinishReason.LENGTH if text_of(request) == "b" else FinishReason.STOP,
    )
    assert await post(keyed, "/v2/completions", ASK | {"prompt": ["a", "b"]}) == {
        "outputs": [{"output": "a"}, {"output": "b"}],
        "finish_reason": ["stop", "length"],
    }
    launcher.script = typed()
    assert await post(keyed, "/v2/completions", TYPED) == {"outputs": [OBJECT], "finish_reason": ["stop"]}


@pytest.mark.parametrize("path", ["/v1/completions", "/v2/completions"])
async def test_a_text_that_was_cut_comes_with_a_warning(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher, path: str
) -> None:
    async with keyed.post(path, json=ASK) as answer:
        assert "X-Warning" not in answer.headers
    launcher.script = Script(reason=FinishReason.LENGTH)
    async with keyed.post(path, json=ASK) as answer:
        assert answer.headers["X-Warning"].startswith("1 of 1 texts were cut at their limit")


async def test_the_model_may_be_left_to_the_daemon(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    await post(keyed, "/v1/completions", ASK | {"model_name": "other"})
    await post(keyed, "/v1/completions", ASK | {"model_name": None})
    assert [each.entry.id for each in daemon.services.residency.residents()] == ["other"]


async def test_a_polled_stream_grows_to_the_whole_text(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    answers = await poll(keyed, await submit(keyed, STREAM, ASK | {"max_new_tokens": 9}))
    texts = [answer["outputs"][0]["output"] for answer in answers if answer]
    assert texts[-1] == TRAP_TEXT
    assert all(TRAP_TEXT.startswith(text) for text in texts)
    assert answers[-1]["finish_reason"] == ["stop"]
    assert daemon.worker.requests[0].max_tokens == 9


async def test_a_polled_stream_shows_what_is_there_so_far(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(deltas=(), is_stalled=True)
    nothing = await submit(keyed, STREAM, ASK)
    assert await get(keyed, nothing) == {}
    daemon.launcher.script = Script(is_stalled=True)
    begun = await submit(keyed, STREAM, ASK)
    await until(lambda: "Hello world" in [progress.text_of(0) for progress in progresses(daemon)])
    assert await get(keyed, begun) == {"outputs": [{"output": "Hello world"}], "finish_reason": [None]}


async def test_a_batch_shows_the_finished_ones_from_the_front(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = lambda request: Script(
        deltas=(text_of(request),), is_stalled=text_of(request) == "c"
    )
    path = await submit(keyed, BATCH, ASK | {"prompt": ["a", "b", "c", "d"]})
    (progress,) = progresses(daemon)
    await until(lambda: [bool(each) for each in progress.completions] == [True, True, False, True])
    assert await get(keyed, path) == {
        "outputs": [{"output": "a"}, {"output": "b"}, None, None],
        "finish_reason": ["stop", "stop", None, None],
    }


async def test_a_batch_of_typed_prompts(keyed: aiohttp.ClientSession, launcher: ScriptedLauncher) -> None:
    launcher.script = typed()
    answers = await poll(keyed, await submit(keyed, BATCH, TYPED | {"prompt": [CARL, "Paul?"]}))
    assert answers[-1] == {"outputs": [OBJECT, OBJECT], "finish_reason": ["stop", "stop"]}


async def test_a_large_batch_leaves_slots_to_others(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = echo
    prompts = [str(number) for number in range(100)]
    answers = await poll(keyed, await submit(keyed, BATCH, ASK | {"prompt": prompts}))
    assert [output["output"] for output in answers[-1]["outputs"]] == [f"re: {prompt}" for prompt in prompts]
    assert daemon.worker.most_at_once == daemon.worker.loaded.slots


async def test_batches_leave_the_first_place_to_who_waits(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    for path in (BATCH, STREAM):
        await poll(keyed, await submit(keyed, path, ASK))
    await post(keyed, "/v1/completions", ASK)
    priorities = [request.priority for request in daemon.worker.requests]
    assert priorities == [Priority.BACKGROUND, Priority.INTERACTIVE, Priority.INTERACTIVE]


async def test_a_result_can_be_asked_for_again(keyed: aiohttp.ClientSession) -> None:
    path = await submit(keyed, BATCH, ASK)
    first = (await poll(keyed, path))[-1]
    assert await get(keyed, path) == first


async def test_tokens_of_polled_texts_are_counted_once(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    path = await submit(keyed, BATCH, ASK | {"prompt": ["a", "b"]})
    await poll(keyed, path)
    await get(keyed, path)
    usage = daemon.services.activity.usage["lamini"]
    assert (usage.prompt_tokens, usage.completion_tokens) == (10, 4)


async def test_a_result_belongs_to_its_key(daemon: RunningDaemon, keyed: aiohttp.ClientSession) -> None:
    stream, batch = await submit(keyed, STREAM, ASK), await submit(keyed, BATCH, ASK)
    async with daemon.client(X_Api_Key=await daemon.make_key()) as other:
        for path in (stream, batch):
            assert "no result with this id" in (await get(other, path, status=404))["detail"]
    for path in (stream, batch):
        await get(keyed, path)


@pytest.mark.parametrize("path", [STREAM, BATCH])
async def test_an_unknown_model_is_told_when_the_request_is_made(
    keyed: aiohttp.ClientSession, path: str
) -> None:
    refused = await post(keyed, path, ASK | {"model_name": "nope"}, status=404)
    assert refused["detail"] == refused["error"] == "There is no model nope; the nearest is demo."


@pytest.mark.parametrize("path", [STREAM, BATCH])
async def test_a_failure_is_told_to_who_polls(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, path: str
) -> None:
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    result = await submit(keyed, path, ASK)
    await until(lambda: all(progress.is_over for progress in progresses(daemon)))
    for _ in range(2):
        assert (await get(keyed, result, status=500))["detail"] == "The worker was killed by signal 9."


async def test_an_answer_that_is_no_object_is_a_failure(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(deltas=('{"age":',))
    for path in ("/v1/completions", "/v2/completions"):
        assert "not the object" in (await post(keyed, path, TYPED, status=500))["detail"]


async def test_a_stream_whose_client_is_gone_frees_its_slot(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAM_PATIENCE_S", -1.0)
    path = await submit(keyed, STREAM, ASK)
    await until(lambda: all(progress.is_over for progress in progresses(daemon)))
    assert daemon.worker.aborted == 1
    assert "Nobody asked" in (await get(keyed, path, status=404))["detail"]


async def test_old_clients_send_the_request_again(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    for sends_server in (True, False):
        body, texts = {**ASK, "out_type": None, "max_tokens": None}, []
        async with asyncio.timeout(60):
            while True:
                answer = await post(keyed, OLD_STREAM, body)
                texts.append(answer["data"][0]["output"])
                body = body | {"server": answer["server"]} if sends_server else body
                if answer["status"] == [True]:
                    break
        assert texts[-1] == TRAP_TEXT
    assert len(daemon.worker.requests) == 2
    assert (await post(keyed, OLD_STREAM, ASK | {"server": "nope"}, status=404))["detail"]


async def test_a_failure_is_told_once_to_old_clients_which_send_the_request_again(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.broken["demo"] = "demo.gguf cannot be run now."
    refused = await post(keyed, OLD_STREAM, ASK, status=500)
    assert refused["detail"] == "demo.gguf cannot be run now."
    daemon.launcher.broken.clear()
    await daemon.services.residency.load("demo")
    assert await text_for_old_client(keyed) == "Hello world"


async def test_a_stream_that_was_given_up_begins_anew_for_old_clients(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_gone = asyncio.Event()

    async def generate(_: ScriptedWorker, __: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        await is_gone.wait()
        yield TextDelta("Hello")
        yield Finished(FinishReason.STOP, Usage(5, 1))

    monkeypatch.setattr(ScriptedWorker, "generate", generate)
    with monkeypatch.context() as patch:
        await post(keyed, OLD_STREAM, ASK)
        patch.setattr(limits, "STREAM_PATIENCE_S", -1.0)
        is_gone.set()
        await until(lambda: all(progress.is_over for progress in progresses(daemon)))
    assert await text_for_old_client(keyed) == "Hello"


async def test_what_is_polled_ends_with_the_application(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    await submit(keyed, BATCH, ASK | {"prompt": ["a", "b"]})
    await until(lambda: daemon.worker.running == 2)
    await daemon.app.cleanup()
    await until(lambda: daemon.worker.aborted == 2)


async def test_version_tells_what_is_served(keyed: aiohttp.ClientSession) -> None:
    answer = await get(keyed, "/v1/version")
    assert (answer["server"], answer["client"]) == (puna.__version__, None)
    assert {"name": "completions", "path": "/v1/completions"} in answer["api"]
    async with keyed.get("/v1/version", headers=CLIENT) as response:
        assert (await response.json())["client"] == "3.4.6"


async def test_a_reservation_is_in_utc_without_an_offset(keyed: aiohttp.ClientSession) -> None:
    answer = await post(keyed, "/v1/reservation", {"capacity": 9, "model_name": "demo", "batch_size": 5})
    start, end = datetime.fromisoformat(answer["start_time"]), datetime.fromisoformat(answer["end_time"])
    assert start.tzinfo is None
    assert start < end
    assert (answer["capacity_remaining"], answer["dynamic_max_batch_size"]) == (9, 5)


async def test_a_request_of_openai_is_answered_in_its_way(keyed: aiohttp.ClientSession) -> None:
    answer = await post(keyed, "/v1/completions", {"model": "demo", "prompt": "x"})
    assert answer["choices"][0]["text"] == "Hello world"


async def test_a_request_that_names_no_model_is_told_which_field_is_missing(
    keyed: aiohttp.ClientSession,
) -> None:
    answer = await post(keyed, "/v1/completions", {"prompt": "x"}, status=400)
    assert answer["detail"] == "`model` is required; requests for Lamini name it `model_name`."
    assert answer["error"] == {
        "message": answer["detail"],
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    async with keyed.post("/v1/completions", json={"prompt": "x"}, headers=CLIENT) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("", "The body is empty"),
        ("[]", "The body must be an object."),
        (
            '{"model_name": "demo", "prompt": "x", "out_type": {"Answer": "string"},}',
            "The body is not valid JSON",
        ),
        ('{"model_name": "demo"}', "`prompt` is required."),
        ('{"model_name": "demo", "prompt": "x", "out_type": {"when": "date"}}', "`out_type.when` must be"),
    ],
)
async def test_a_bad_body_is_a_400(keyed: aiohttp.ClientSession, body: str, complaint: str) -> None:
    async with keyed.post("/v1/completions", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["detail"].startswith(complaint)


@pytest.mark.parametrize(
    ("failure", "status", "status_for_client"),
    [
        (ContextOverflowError("The prompt has 3000 tokens, the context 2048."), 400, 400),
        (GenerationError("The template says no."), 500, 500),
        (GenerationTimeoutError("Nothing came for 600 s."), 504, 524),
        (OverloadedError("256 requests wait already."), 503, 503),
        (WorkerDiedError("The worker was killed by signal 9."), 500, 500),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_failures_have_statuses_that_lamini_s_clients_know(
    keyed: aiohttp.ClientSession,
    launcher: ScriptedLauncher,
    failure: PunaError,
    status: int,
    status_for_client: int,
) -> None:
    launcher.script = Script(deltas=("x",), failure=failure)
    for headers, expected in (({}, status), (CLIENT, status_for_client)):
        async with keyed.post("/v1/completions", json=ASK, headers=headers) as answer:
            assert answer.status == expected
            assert (await answer.json())["detail"] == failure.message


@pytest.mark.parametrize("path", ["/v1/completions", "/v2/completions", STREAM, BATCH, OLD_STREAM])
async def test_an_unknown_model_has_lamini_s_own_number_for_its_clients(
    keyed: aiohttp.ClientSession, path: str
) -> None:
    body = ASK | {"model_name": "nope"}
    for headers, status in (({}, 404), (CLIENT, 594)):
        async with keyed.post(path, json=body, headers=headers) as answer:
            assert answer.status == status
            assert "There is no model nope" in (await answer.json())["detail"]


async def test_without_a_key_nothing_is_answered(client: aiohttp.ClientSession) -> None:
    for path in ("/v1/completions", "/v2/completions", STREAM, BATCH, OLD_STREAM, "/v1/reservation"):
        assert (await post(client, path, ASK, status=401))["detail"]
    await get(client, "/v1/version", status=401)
    await get(client, f"{BATCH}/x/result", status=401)


async def test_wrong_paths_and_methods_are_told(keyed: aiohttp.ClientSession) -> None:
    for path in (f"{STREAM}/x", f"{BATCH}/x/y/result", "/v2/completions/x"):
        assert (await get(keyed, path, status=404))["detail"] == "Not Found"
    async with keyed.get("/v1/completions") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
