"""ModelStudio over HTTP: who may, what is taken, and what is told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from fakes.asking import get, post
from fakes.running_daemon import RunningDaemon, run_daemon, until
from fakes.scripted_model import Script, text_of
from puna.config import Settings
from puna.domain.generation import Sampling
from puna.errors import GenerationError
from puna.keys.identity import Scope

STALLED = Script(deltas=("so far",), is_stalled=True)


def job(*texts: str, **fields: object) -> dict[str, object]:
    """Return a body with a conversation of one turn for each text."""
    return {
        "model_id": "demo",
        "messages": [[{"role": "user", "content": text}] for text in texts or ("Hello",)],
        **fields,
    }


def jobs_path(daemon: RunningDaemon, organisation: str | None = None) -> str:
    organisation = organisation or daemon.services.keys.default_organisation.id
    return f"/api/v1/organizations/{organisation}/generate"


class Caller:
    """A client with a key of the default organisation."""

    def __init__(self, daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
        self.client = client
        self.path = jobs_path(daemon)

    async def submit(self, body: object, status: int = 200) -> Any:
        return await post(self.client, self.path, body, status)

    async def look(self, job_id: str, status: int = 200) -> Any:
        return await get(self.client, f"{self.path}/{job_id}", status)

    async def finish(self, body: object) -> Any:
        """Submit a job and return it once it has ended."""
        job_id = (await self.submit(body))["job_id"]
        while (report := await self.look(job_id))["job_status"] in ("processing", "PROCESSING"):
            pass
        return report


@pytest.fixture
async def caller(daemon: RunningDaemon) -> AsyncIterator[Caller]:
    async with daemon.client(Authorization=f"Bearer {await daemon.make_key()}") as client:
        yield Caller(daemon, client)


async def test_a_job_is_created_and_its_results_come_in_order(daemon: RunningDaemon, caller: Caller) -> None:
    daemon.launcher.script = lambda request: Script(deltas=("to ", text_of(request)))
    report = await caller.finish(job("first", "second", "third"))
    assert report == {
        "job_id": report["job_id"],
        "job_status": "completed",
        "total_tasks": 3,
        "completed_tasks": 3,
        "results": [
            {"task_index": index, "status": "completed", "result": f"to {text}", "error": None}
            for index, text in enumerate(["first", "second", "third"])
        ],
    }


async def test_a_job_in_the_middle_tells_how_far_it_is(daemon: RunningDaemon, caller: Caller) -> None:
    daemon.launcher.script = lambda request: STALLED if text_of(request) == "slow" else Script()
    job_id = (await caller.submit(job("quick", "slow")))["job_id"]
    async with asyncio.timeout(60):
        while not (report := await caller.look(job_id))["completed_tasks"]:
            pass
    assert (report["job_status"], report["completed_tasks"]) == ("processing", 1)
    assert report["results"][1] == {"task_index": 1, "status": "processing", "result": None, "error": None}


async def test_a_failed_task_is_told_and_the_job_is_completed_all_the_same(
    daemon: RunningDaemon, caller: Caller
) -> None:
    daemon.launcher.script = lambda request: Script(
        failure=GenerationError("no such template") if text_of(request) == "bad" else None
    )
    report = await caller.finish(job("good", "bad"))
    assert (report["job_status"], report["completed_tasks"]) == ("completed", 2)
    assert report["results"][1] == {
        "task_index": 1,
        "status": "failed",
        "result": None,
        "error": "no such template",
    }


async def test_a_model_that_cannot_be_loaded_fails_the_job(daemon: RunningDaemon, caller: Caller) -> None:
    daemon.launcher.broken["other"] = "other.gguf cannot be run: no."
    report = await caller.finish(job("a", model_id="other"))
    assert (report["job_status"], report["results"][0]["error"]) == (
        "failed",
        "other.gguf cannot be run: no.",
    )


@pytest.mark.parametrize(
    ("fields", "sampling", "max_tokens"),
    [
        ({}, Sampling(temperature=0.7), 512),
        ({"temperature": None, "max_tokens": None}, Sampling(temperature=0.7), 512),
        ({"temperature": 0, "max_tokens": 7.0, "top_p": "ignored"}, Sampling(temperature=0.0), 7),
        ({"temperature": 1, "max_tokens": 131_072}, Sampling(temperature=1.0), 131_072),
    ],
)
async def test_parameters_reach_the_model(
    daemon: RunningDaemon, caller: Caller, fields: dict[str, object], sampling: Sampling, max_tokens: int
) -> None:
    await caller.finish(job(**fields))
    (request,) = daemon.worker.requests
    assert (request.sampling, request.max_tokens) == (sampling, max_tokens)


async def test_text_parts_are_joined(daemon: RunningDaemon, caller: Caller) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    await caller.finish(job() | {"messages": [[{"role": "user", "content": parts}]]})
    assert text_of(daemon.worker.requests[0]) == "one two"


def turn(content: object) -> dict[str, object]:
    return {"messages": [[{"role": "user", "content": content}]]}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"model_id": None}, "`model_id` must be a non-empty string."),
        ({"messages": []}, "`messages` must be a list that is not empty."),
        ({"messages": [[]]}, "`messages[0]` must be a list of 1 to 10000 items."),
        (
            {"messages": [{"role": "user", "content": "x"}]},
            "`messages[0]` must be a list of 1 to 10000 items.",
        ),
        (turn(5), "`messages[0][0].content` must be a string or a list."),
        ({"messages": [[{"role": "king", "content": "x"}]]}, "must be one of system, developer, user"),
        ({"temperature": 1.1}, "`temperature` must be a number from 0 to 1."),
        ({"temperature": -0.1}, "`temperature` must be a number from 0 to 1."),
        ({"max_tokens": 0}, "`max_tokens` must be a whole number from 1 to 131072."),
        ({"max_tokens": "many"}, "`max_tokens` must be a whole number from 1 to 131072."),
        (
            turn([{"type": "image_url", "image_url": {"url": "data:"}}]),
            "`messages[0][0].content[0]` is an image",
        ),
        (turn([{"type": "audio"}]), "`messages[0][0].content[0].type` must be text; audio is not known."),
        (turn([{"type": "text"}]), "`messages[0][0].content[0].text` is required."),
        (turn([{"text": "x"}]), "`messages[0][0].content[0].type` is required."),
    ],
)
async def test_what_is_wrong_with_a_job_is_named(
    caller: Caller, fields: dict[str, object], complaint: str
) -> None:
    answer = await caller.submit(job() | fields, status=400)
    assert complaint in answer["detail"]
    assert answer["error"] == answer["detail"]


async def test_the_name_of_another_api_is_explained(caller: Caller) -> None:
    body = {"model": "demo", "messages": [[{"role": "user", "content": "x"}]]}
    answer = await caller.submit(body, status=400)
    assert answer["detail"] == "`model_id` is required; `model` is its name in another API."


async def test_an_unknown_model_is_told_at_once(daemon: RunningDaemon, caller: Caller) -> None:
    answer = await caller.submit(job(model_id="nope"), status=404)
    assert "the nearest is demo" in answer["detail"]
    assert daemon.services.jobs.figures.queued_jobs == 0


async def test_an_unknown_job_is_a_404_in_the_dialect_s_shape(daemon: RunningDaemon, caller: Caller) -> None:
    answer = await caller.look("job_nope", status=404)
    assert answer == {"detail": "This organisation has no job job_nope."} | {"error": answer["detail"]}
    async with caller.client.put(caller.path) as refused:
        assert (refused.status, refused.headers["Allow"]) == (405, "POST")
        assert refused.content_type == "application/json"
    assert (await get(caller.client, "/api/v1/organizations/x", 404))["detail"] == "Not Found"


async def test_without_a_key_nothing_is_told(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    path = jobs_path(daemon)
    for answer in (await post(client, path, job(), 401), await get(client, f"{path}/job_x", 401)):
        assert "key" in answer["detail"]
    async with daemon.client(Authorization="Bearer puna_wrong") as stranger:
        await post(stranger, path, job(), 401)


async def test_a_key_of_another_organisation_is_refused(daemon: RunningDaemon, caller: Caller) -> None:
    other = await daemon.services.keys.create_organisation("other")
    job_id = (await caller.submit(job()))["job_id"]
    async with daemon.client(X_Api_Key=await daemon.make_key(organisation=other.id)) as stranger:
        for path in (jobs_path(daemon), jobs_path(daemon, "org_nobody")):
            answer = await post(stranger, path, job(), 403)
            assert answer["detail"] == "This key belongs to another organisation than the one in the path."
        await get(stranger, f"{jobs_path(daemon)}/{job_id}", 403)
        await get(stranger, f"{jobs_path(daemon, other.id)}/{job_id}", 404)
        assert (await post(stranger, jobs_path(daemon, other.id), job()))["status"] == "CREATED"


async def test_a_key_that_may_not_infer_is_refused(daemon: RunningDaemon) -> None:
    async with daemon.client(X_Api_Key=await daemon.make_key(Scope.TRAIN)) as trainer:
        assert "infer" in (await post(trainer, jobs_path(daemon), job(), 403))["detail"]


async def test_the_admin_is_told_of_an_organisation_that_does_not_exist(daemon: RunningDaemon) -> None:
    async with daemon.client(Authorization=f"Bearer {daemon.services.admin_token}") as admin:
        await post(admin, jobs_path(daemon), job())
        answer = await post(admin, jobs_path(daemon, "org_nobody"), job(), 404)
    assert "org_nobody" in answer["detail"]


async def test_a_job_can_be_cancelled(
    daemon: RunningDaemon, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.jobs.service._CANCEL_WAIT_S", 60)
    daemon.launcher.script = STALLED
    job_id = (await caller.submit(job("a", "b")))["job_id"]
    await until(lambda: daemon.worker.running == 2)
    async with caller.client.delete(f"{caller.path}/{job_id}") as answer:
        report = await answer.json()
    assert (answer.status, report["job_status"], report["completed_tasks"]) == (200, "canceled", 2)
    await until(lambda: (daemon.worker.running, daemon.worker.aborted) == (0, 2))


async def test_bounds_are_told_with_a_time_to_come_again(tmp_path: Any) -> None:
    settings = Settings(job_task_limit=3, job_character_limit=1000, job_queue_limit=1, rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon:
        daemon.launcher.script = STALLED
        async with daemon.client(X_Api_Key=await daemon.make_key()) as client:
            caller = Caller(daemon, client)
            assert "at most 3" in (await caller.submit(job(*"abcd"), 400))["detail"]
            assert "at most 1000" in (await caller.submit(job("x" * 1001), 400))["detail"]
            await caller.submit(job("a"))
            async with client.post(caller.path, json=job("b")) as refused:
                assert refused.status == 503
                assert int(refused.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("is_broken", "word", "task_word"), [(False, "FINISHED", "FINISHED"), (True, "FAILED", "FAILED")]
)
async def test_an_organisation_of_the_other_edition_gets_its_words(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, is_broken: bool, word: str, task_word: str
) -> None:
    monkeypatch.setattr("puna.jobs.service._CANCEL_WAIT_S", 60)
    async with run_daemon(tmp_path) as first:
        organisation = first.services.keys.default_organisation.id
    settings = Settings(ionos_organisations=(organisation,), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon:
        if is_broken:
            daemon.launcher.broken["demo"] = "no"
        async with daemon.client(X_Api_Key=await daemon.make_key()) as client:
            report = await Caller(daemon, client).finish(job("a"))
            assert (report["job_status"], report["results"][0]["status"]) == (word, task_word)
            daemon.launcher.broken.clear()
            daemon.launcher.script = STALLED
            caller = Caller(daemon, client)
            job_id = (await caller.submit(job("a")))["job_id"]
            async with client.delete(f"{caller.path}/{job_id}") as answer:
                assert (await answer.json())["job_status"] == "CANCELED"


async def test_jobs_are_in_the_metrics(daemon: RunningDaemon, caller: Caller) -> None:
    daemon.launcher.script = STALLED
    await caller.submit(job(*map(str, range(10))))
    await until(lambda: daemon.services.jobs.figures.running_tasks == 7)
    async with caller.client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    assert 'puna_jobs{state="running"} 1.0' in lines
    assert 'puna_job_tasks{state="waiting"} 3.0' in lines
