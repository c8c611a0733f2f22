"""`/v1/responses` over raw HTTP: what SDKs cannot send, and whose stored answers are."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, until
from fakes.scripted_model import Script
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.conversations.archive import Archive
from puna.conversations.records import StoredResponse
from puna.domain.generation import ChatPrompt, FinishReason
from puna.errors import OverloadedError, StoreError

PATH = "/v1/responses"
ASKED = {"model": "demo", "input": "Why?"}


async def ask(client: aiohttp.ClientSession, **fields: Any) -> dict[str, Any]:
    async with client.post(PATH, json=ASKED | fields) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def refuse(client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with client.request(method, path, **options) as answer:
        body = await answer.json()
        assert isinstance(body["detail"], str)
        return answer.status, body["error"]


def events_of(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(b"data: ")) for line in stream.split(b"\n") if line[:6] == b"data: "]


async def test_the_stream_is_events_with_names(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    async with client.post(PATH, json=ASKED | {"stream": True}) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        stream = await answer.read()
    assert stream.isascii()
    blocks = stream.removesuffix(b"\n\n").split(b"\n\n")
    assert all(block.startswith(b"event: ") and block.count(b"\n") == 1 for block in blocks)
    last = events_of(stream)[-1]
    assert last["type"] == "response.completed"
    assert last["response"]["output"][0]["content"][0]["text"] == TRAP_TEXT
    assert b"[DONE]" not in blocks[-1][:20]


async def test_no_key_is_needed_on_this_machine(client: aiohttp.ClientSession) -> None:
    first = await ask(client)
    second = await ask(client, previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]


async def test_whole_numbers_may_have_a_point(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    answer = await ask(client, max_output_tokens=100.0, top_logprobs=2.0)
    assert (answer["max_output_tokens"], answer["top_logprobs"]) == (100, 2)
    assert daemon.worker.requests[0].max_tokens == 100


async def test_without_a_name_the_current_model_answers(client: aiohttp.ClientSession) -> None:
    assert (await ask(client, model=None))["model"] == "demo"


async def test_an_organisation_sees_its_own_answers_only(daemon: RunningDaemon) -> None:
    organisation = await daemon.services.keys.create_organisation("acme")
    keys = [
        await daemon.make_key(),
        await daemon.make_key(),
        await daemon.make_key(organisation=organisation.id),
    ]
    async with (
        daemon.client(Authorization=f"Bearer {keys[0]}") as owner,
        daemon.client(X_Api_Key=keys[1]) as colleague,
        daemon.client(X_Api_Key=keys[2]) as stranger,
        daemon.client() as person,
        daemon.client(X_Api_Key=ADMIN_TOKEN) as admin,
    ):
        theirs, local = await ask(owner), await ask(person)
        for client, response in ((stranger, theirs), (stranger, local), (owner, local), (person, theirs)):
            path = f"{PATH}/{response['id']}"
            attempts = (
                ("GET", path),
                ("GET", f"{path}/input_items"),
                ("DELETE", path),
                ("POST", f"{path}/cancel"),
            )
            for method, target in attempts:
                assert (await refuse(client, method, target))[0] == 404
            status, error = await refuse(
                client, "POST", PATH, json=ASKED | {"previous_response_id": response["id"]}
            )
            assert (status, error["code"]) == (400, "previous_response_not_found")
            reference = {"type": "item_reference", "id": response["output"][0]["id"]}
            assert (await refuse(client, "POST", PATH, json={"model": "demo", "input": [reference]}))[
                0
            ] == 404
        for client in (owner, colleague, admin):
            async with client.get(f"{PATH}/{theirs['id']}") as answer:
                assert await answer.json() == theirs


async def test_delete_says_what_is_gone(client: aiohttp.ClientSession) -> None:
    response = await ask(client)
    async with client.delete(f"{PATH}/{response['id']}") as answer:
        assert await answer.json() == {"id": response["id"], "object": "response", "deleted": True}
    status, error = await refuse(client, "GET", f"{PATH}/{response['id']}")
    assert status == 404
    assert error["message"].startswith(f"Response with id '{response['id']}' not found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=" + "9" * 30, "limit"),
        ("limit=000000001" + "9" * 5000, "limit"),
        ("order=up", "order"),
        ("after=msg_none", "after"),
    ],
)
async def test_a_bad_page_is_refused(client: aiohttp.ClientSession, query: str, field: str) -> None:
    response = await ask(client)
    status, error = await refuse(client, "GET", f"{PATH}/{response['id']}/input_items?{query}")
    assert (status, error["param"]) == (400, field)


async def test_a_stored_answer_is_not_streamed_again(client: aiohttp.ClientSession) -> None:
    response = await ask(client)
    status, error = await refuse(client, "GET", f"{PATH}/{response['id']}?stream=true")
    assert (status, error["param"]) == (400, "stream")


async def test_an_incomplete_answer_can_be_gone_on_from(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(reason=FinishReason.LENGTH)
    first = await ask(client)
    await ask(client, input=[], previous_response_id=first["id"])
    prompt = daemon.worker.requests[1].prompt
    assert isinstance(prompt, ChatPrompt)
    assert [message.content for message in prompt.messages] == ["Why?", "Hello world"]


async def test_the_last_event_comes_when_the_answer_is_stored(
    daemon: RunningDaemon, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, add = asyncio.Event(), Archive.add

    async def add_later(archive: Archive, response: StoredResponse) -> None:
        await gate.wait()
        await add(archive, response)

    monkeypatch.setattr(Archive, "add", add_later)
    async with client.post(PATH, json=ASKED | {"stream": True}) as answer:
        begun = b""
        while b"response.output_item.done" not in begun:
            begun += await answer.content.readany()
        assert b"response.completed" not in begun
        gate.set()
        rest = await answer.read()
    response = events_of(rest)[-1]["response"]
    async with client.get(f"{PATH}/{response['id']}") as kept:
        assert await kept.json() == response


async def test_a_client_that_leaves_before_the_end_leaves_nothing(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    for fields in ({}, {"stream": True}):
        task = asyncio.create_task(client.post(PATH, json=ASKED | fields).__aenter__())
        await until(lambda: daemon.worker.running == 1)
        aborted = daemon.worker.aborted
        if "stream" in fields:
            (await task).close()
        task.cancel()
        await until(lambda aborted=aborted: daemon.worker.aborted == aborted + 1)  # type: ignore[misc]
    rows = daemon.services.database.run_blocking(
        lambda connection: connection.execute("SELECT COUNT(*) FROM responses").fetchone()
    )
    assert rows == (0,)


async def test_an_answer_that_cannot_be_stored_is_an_error(
    daemon: RunningDaemon, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreError("Nothing was stored: Puna's database does not work (the disk is full).")

    monkeypatch.setattr(Archive, "add", fail)
    status, error = await refuse(client, "POST", PATH, json=ASKED)
    assert (status, error["type"]) == (500, "server_error")
    assert "disk is full" in error["message"]
    async with client.post(PATH, json=ASKED | {"stream": True}) as answer:
        events = events_of(await answer.read())
    assert [event["type"] for event in events[-3:]] == [
        "response.output_item.done",
        "error",
        "response.failed",
    ]
    assert "disk is full" in events[-1]["response"]["error"]["message"]
    assert (await ask(client, store=False))["status"] == "completed"


async def test_a_text_that_was_cut_off_by_the_daemon_failed(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(reason=FinishReason.ABORT)
    async with client.post(PATH, json=ASKED | {"stream": True}) as answer:
        last = events_of(await answer.read())[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "rate_limit_exceeded"
    daemon.launcher.script = Script(failure=OverloadedError("busy"))
    assert (await refuse(client, "POST", PATH, json=ASKED))[0] == 503


async def test_a_body_that_is_none_is_refused(client: aiohttp.ClientSession) -> None:
    for body, field in ((b"", None), (b"[]", None), (b'{"model":7,"input":"x"}', "model")):
        status, error = await refuse(
            client, "POST", PATH, data=body, headers={"Content-Type": "application/json"}
        )
        assert (status, error["type"], error["param"]) == (400, "invalid_request_error", field)
    for path in (f"{PATH}/resp_1/nothing", "/v1/response"):
        assert (await refuse(client, "POST", path, json={}))[0] == 404
