"""AITextGen's webhooks from end to end: made over HTTP, verified by the library that receivers use, logged."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fakes.asking import get, post
from fakes.running_daemon import ADMIN_TOKEN
from fakes.webhook_daemon import SHORT, DaemonWithWebhooks, run_daemon_with_webhooks
from fakes.webhook_home import completed, failed, wish_of
from fakes.webhook_receiver import Reply, WebhookReceiver, run_receiver
from puna.keys.identity import Scope
from puna.webhooks.records import DeliveryState
from puna.webhooks.schedule import Schedule

WEBHOOKS = "/v1/aitextgen/webhooks"
CREATE = f"{WEBHOOKS}/create"
CONTROL = "/puna/v1/webhooks"
EVENTS = ["finetune.completed", "finetune.failed"]


@pytest.fixture
async def home(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[DaemonWithWebhooks]:
    """A daemon whose attempts take 30 s at most, or the time of the test's own parameter."""
    async with run_daemon_with_webhooks(tmp_path, timeout_s=getattr(request, "param", 30)) as home:
        yield home


@pytest.fixture
async def trainer(home: DaemonWithWebhooks) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose key may train."""
    async with home.daemon.client(X_Api_Key=await home.daemon.make_key(Scope.TRAIN)) as client:
        yield client


@pytest.fixture
async def admin(home: DaemonWithWebhooks) -> AsyncIterator[aiohttp.ClientSession]:
    async with home.daemon.client(Authorization=f"Bearer {ADMIN_TOKEN}") as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with run_receiver() as receiver:
        yield receiver


async def delete(client: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    async with client.delete(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def make(trainer: aiohttp.ClientSession, receiver: WebhookReceiver, path: str = "/hook") -> Any:
    """Make a webhook, give its secret to the receiver, and return it."""
    made = await post(trainer, CREATE, {"url": receiver.url(path), "events": EVENTS})
    receiver.secret = made["secret"]
    return made


async def ended(admin: aiohttp.ClientSession, webhook_id: str, count: int = 1) -> list[Any]:
    """Return the deliveries of a webhook, the oldest first, once so many have ended."""
    async with asyncio.timeout(60):
        while True:
            log = (await get(admin, f"{CONTROL}/{webhook_id}/deliveries"))["deliveries"]
            if sum(each["state"] != DeliveryState.PENDING for each in log) >= count:
                return list(reversed(log))
            await asyncio.sleep(0.01)


# Made, listed, deleted


async def test_a_webhook_is_made_as_documented_and_its_secret_told_once(
    trainer: aiohttp.ClientSession, admin: aiohttp.ClientSession
) -> None:
    body = {"url": "https://your-app.com/webhook", "events": EVENTS}
    async with trainer.post(CREATE, json=body) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        made = await answer.json()
    assert made["id"].startswith("wh_")
    assert made["secret"].startswith("whsec_")
    assert made["created_at"].endswith("Z")
    assert made == body | {
        "id": made["id"],
        "secret": made["secret"],
        "status": "active",
        "created_at": made["created_at"],
    }
    told = body | {
        "id": made["id"],
        "status": "active",
        "disabled_reason": None,
        "created_at": made["created_at"],
    }
    assert await get(trainer, WEBHOOKS) == {"webhooks": [told]}
    assert await get(trainer, f"{WEBHOOKS}/{made['id']}") == told
    shown = [await get(admin, CONTROL), await get(admin, f"{CONTROL}/{made['id']}")]
    assert made["secret"] not in str(shown)
    assert shown[0]["webhooks"] == [shown[1]]
    assert await delete(trainer, f"{WEBHOOKS}/{made['id']}") == {"id": made["id"], "deleted": True}
    assert await get(trainer, WEBHOOKS) == {"webhooks": []}
    assert "There is no webhook" in (await get(trainer, f"{WEBHOOKS}/{made['id']}", 404))["detail"]
    assert (await delete(trainer, f"{WEBHOOKS}/{made['id']}", 404))["detail"]


async def test_without_events_it_is_told_everything(trainer: aiohttp.ClientSession) -> None:
    for body in ({}, {"events": None}, {"events": list(reversed(EVENTS))}):
        made = await post(trainer, CREATE, {"url": "http://localhost:9/x", **body})
        assert made["events"] == EVENTS
    once = await post(trainer, CREATE, {"url": "http://localhost:9/x", "events": [EVENTS[1]] * 3})
    assert once["events"] == [EVENTS[1]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "`url` is required."),
        ({"url": ""}, "`url` must be a non-empty string."),
        ({"url": 7}, "`url` must be a non-empty string."),
        ({"url": "hook"}, "`url` must be a whole http or https URL"),
        ({"url": "http://u:p@localhost/"}, "`url` must not hold a name or a password"),
        ({"url": "http://169.254.169.254/latest"}, "metadata service"),
        ({"url": "http://[::ffff:169.254.169.254]/"}, "metadata service"),
        ({"url": "http://sly.example/"}, "sly.example leads to 169.254.1.1, which is link-local."),
        ({"url": "http://192.168.0.1/"}, "private"),
        ({"url": "http://0.0.0.0/"}, "unspecified"),
        ({"url": "http://224.0.0.1/"}, "multicast"),
        ({"url": "http://localhost/", "events": []}, "`events` must be a list that is not empty."),
        ({"url": "http://localhost/", "events": "finetune.completed"}, "`events` must be a list"),
        (
            {"url": "http://localhost/", "events": ["model.loaded"]},
            "`events[0]` must be one of finetune.completed, finetune.failed",
        ),
    ],
)
async def test_a_wrong_wish_is_a_sentence(
    home: DaemonWithWebhooks, trainer: aiohttp.ClientSession, body: dict[str, object], words: str
) -> None:
    home.names.addresses["sly.example"] = ("169.254.1.1",)
    refused = await post(trainer, CREATE, body, 400)
    assert words in refused["detail"]
    assert refused["error"] == refused["detail"]
    assert await get(trainer, WEBHOOKS) == {"webhooks": []}


async def test_who_may_not_train_makes_none(home: DaemonWithWebhooks) -> None:
    body = {"url": "http://localhost:9/x"}
    async with home.daemon.client() as nobody:
        await post(nobody, CREATE, body, 401)
        await get(nobody, WEBHOOKS, 401)
        await get(nobody, CONTROL, 401)
    async with home.daemon.client(X_Api_Key=await home.daemon.make_key(Scope.INFER)) as reader:
        assert "scope train" in (await post(reader, CREATE, body, 403))["detail"]
        await get(reader, WEBHOOKS, 403)
        await get(reader, CONTROL, 403)


async def test_an_organisation_sees_its_own(home: DaemonWithWebhooks, trainer: aiohttp.ClientSession) -> None:
    other = await home.daemon.services.keys.create_organisation("other")
    made = await post(trainer, CREATE, {"url": "http://localhost:9/x"})
    key = await home.daemon.make_key(Scope.TRAIN, organisation=other.id)
    async with home.daemon.client(X_Api_Key=key) as stranger:
        assert await get(stranger, WEBHOOKS) == {"webhooks": []}
        await get(stranger, f"{WEBHOOKS}/{made['id']}", 404)
        await delete(stranger, f"{WEBHOOKS}/{made['id']}", 404)
    async with home.daemon.client(Authorization=f"Bearer {ADMIN_TOKEN}") as admin:
        assert [each["id"] for each in (await get(admin, WEBHOOKS))["webhooks"]] == [made["id"]]


async def test_the_description_has_them(home: DaemonWithWebhooks, admin: aiohttp.ClientSession) -> None:
    paths = (await get(admin, "/openapi.json"))["paths"]
    assert set(paths[f"{WEBHOOKS}/{{webhook_id}}"]) == {"get", "delete"}
    assert set(paths[CREATE]) == {"post"}
    assert set(paths[f"{CONTROL}/{{webhook_id}}/deliveries"]) == {"get"}


# Delivered


async def test_a_delivery_is_verified_by_the_library_and_logged(
    home: DaemonWithWebhooks,
    trainer: aiohttp.ClientSession,
    admin: aiohttp.ClientSession,
    receiver: WebhookReceiver,
) -> None:
    made = await make(trainer, receiver)
    began_s = time.monotonic()
    await home.webhooks.publish(completed(home.organisation, at_s=1767323045.678901))
    await receiver.until(lambda: bool(receiver.accepted))
    assert receiver.accepted == [
        {
            "type": "finetune.completed",
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "data": {"status": "success", "model_id": "ft_model_12345", "training_time": 180.5},
        }
    ]
    (delivery,) = await ended(admin, made["id"])
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["failure"]) == (204, None)
    assert 0 <= attempt["duration_s"] <= time.monotonic() - began_s + 0.001
    assert delivery["state"] == "delivered"
    assert delivery["message_id"] == receiver.received[0].message_id
    assert (delivery["event"], delivery["job_id"]) == ("finetune.completed", "job_1")
    await get(admin, f"{CONTROL}/wh_unknown/deliveries", 404)


@pytest.mark.parametrize("home", [3], indirect=True, ids=["3 s"])
async def test_a_receiver_that_fails_stalls_redirects_and_recovers_gets_it(
    home: DaemonWithWebhooks,
    trainer: aiohttp.ClientSession,
    admin: aiohttp.ClientSession,
    receiver: WebhookReceiver,
) -> None:
    made = await make(trainer, receiver)
    away = {"Location": receiver.url("/elsewhere")}
    receiver.script = [
        Reply(status=500),
        Reply(stalls=True),
        Reply(status=307, headers=away),
        Reply(cuts=True),
    ]
    await home.webhooks.publish(failed(home.organisation))
    (delivery,) = await ended(admin, made["id"])
    assert delivery["state"] == "delivered"
    assert [(each["status"], each["failure"]) for each in delivery["attempts"]] == [
        (500, "The receiver answered 500."),
        (None, "No answer came within 3 seconds."),
        (307, "The receiver answered 307, and redirects are not followed."),
        (None, "The connection was lost before the receiver answered."),
        (204, None),
    ]
    assert [each["data"]["error"] for each in receiver.accepted] == ["The disk is full."]
    assert len({each.message_id for each in receiver.received}) == 1
    assert {each.path for each in receiver.received} == {"/hook"}
    assert receiver.refused == []
    for seen in receiver.received:
        assert abs(int(seen.headers["webhook-timestamp"]) - seen.at_s) <= 60


async def test_after_the_last_attempt_it_has_failed_for_good(
    home: DaemonWithWebhooks,
    trainer: aiohttp.ClientSession,
    admin: aiohttp.ClientSession,
    receiver: WebhookReceiver,
) -> None:
    made = await make(trainer, receiver)
    receiver.reply = Reply(status=500)
    await home.webhooks.publish(completed(home.organisation))
    (delivery,) = await ended(admin, made["id"])
    assert delivery["state"] == "failed"
    assert delivery["failure"] == "The receiver answered 500. That was the last of 6 attempts."
    assert delivery["next_attempt_at"] is None
    assert len(receiver.received) == len(SHORT.delays_s) == 6


async def test_a_receiver_that_says_gone_is_disabled(
    home: DaemonWithWebhooks,
    trainer: aiohttp.ClientSession,
    admin: aiohttp.ClientSession,
    receiver: WebhookReceiver,
) -> None:
    made = await make(trainer, receiver)
    receiver.reply = Reply(status=410)
    await home.webhooks.publish(completed(home.organisation, "job_1"))
    await ended(admin, made["id"])
    shown = await get(trainer, f"{WEBHOOKS}/{made['id']}")
    assert shown["status"] == "disabled"
    assert shown["disabled_reason"] == "The receiver answered 410: it wants no more messages."
    await home.webhooks.publish(completed(home.organisation, "job_2"))
    assert len(await ended(admin, made["id"])) == len(receiver.received) == 1


async def test_a_throttling_receiver_is_asked_when_it_wants_to_be(
    home: DaemonWithWebhooks,
    trainer: aiohttp.ClientSession,
    admin: aiohttp.ClientSession,
    receiver: WebhookReceiver,
) -> None:
    made = await make(trainer, receiver)
    receiver.script = [Reply(status=429, headers={"Retry-After": "1"})]
    await home.webhooks.publish(completed(home.organisation))
    await ended(admin, made["id"])
    first, second = receiver.received
    assert second.at_s - first.at_s >= 1


async def test_one_receiver_that_stalls_holds_up_no_other(
    home: DaemonWithWebhooks,
    trainer: aiohttp.ClientSession,
    admin: aiohttp.ClientSession,
    receiver: WebhookReceiver,
) -> None:
    async with run_receiver() as stalling:
        stalling.reply = Reply(stalls=True)
        await make(trainer, stalling)
        good = await make(trainer, receiver)
        for number in range(10):
            await home.webhooks.publish(completed(home.organisation, f"job_{number}"))
        await ended(admin, good["id"], 10)
        assert len(receiver.accepted) == 10
        assert stalling.most_under_way <= 2
        assert receiver.most_under_way <= 2


async def test_a_receiver_that_is_down_over_a_restart_gets_it_when_it_is_back(
    tmp_path: Path,
) -> None:
    endlessly = Schedule((0.0, *[0.05] * 10_000))
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))  # nobody else gets the port meanwhile
        port = down.getsockname()[1]
        async with run_daemon_with_webhooks(tmp_path, schedule=endlessly) as home:
            made = await home.webhooks.create(wish_of(home.organisation, f"http://127.0.0.1:{port}/hook"))
            await home.webhooks.publish(completed(home.organisation))
            async with asyncio.timeout(60):
                while not (await home.webhooks.deliveries(None, made.webhook.id))[0].attempts:
                    await asyncio.sleep(0.01)
    async with run_receiver(port) as receiver:
        receiver.secret = made.secret
        async with run_daemon_with_webhooks(tmp_path, schedule=endlessly) as home:
            await receiver.until(lambda: bool(receiver.accepted))
            (delivery,) = await home.webhooks.deliveries(None, made.webhook.id)
            assert delivery.message_id == receiver.received[0].message_id


async def test_a_deleted_webhook_gets_nothing_more(
    home: DaemonWithWebhooks, trainer: aiohttp.ClientSession, receiver: WebhookReceiver
) -> None:
    made = await make(trainer, receiver)
    receiver.reply = Reply(stalls=True)
    await home.webhooks.publish(completed(home.organisation))
    await receiver.until(lambda: receiver.under_way == 1)
    await delete(trainer, f"{WEBHOOKS}/{made['id']}")
    await receiver.until(lambda: receiver.under_way == 0)
    await asyncio.sleep(0.3)
    assert len(receiver.received) == 1


# What it is not good for


async def test_a_webhook_opens_no_door_of_the_daemon_itself(
    home: DaemonWithWebhooks, trainer: aiohttp.ClientSession, admin: aiohttp.ClientSession
) -> None:
    """Its own routes that are open to this machine are not to those who only may train."""
    async with home.daemon.client() as local:
        await post(local, "/chat", {"messages": [{"role": "user", "content": "hello"}]})
        assert home.daemon.services.residency.residents()
        made = await post(trainer, CREATE, {"url": f"{home.daemon.url}/models/unload"})
        await home.webhooks.publish(completed(home.organisation))
        (delivery,) = await ended(admin, made["id"])
        assert {each["status"] for each in delivery["attempts"]} == {401}
        assert home.daemon.services.residency.residents()
        await post(local, "/models/unload", {"type": "finetune.completed"})
        assert not home.daemon.services.residency.residents()


async def test_neither_secrets_nor_urls_stand_in_the_log(
    home: DaemonWithWebhooks,
    trainer: aiohttp.ClientSession,
    admin: aiohttp.ClientSession,
    receiver: WebhookReceiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    made = await make(trainer, receiver, "/hook/T0K3N-in-the-path")
    receiver.script = [Reply(status=500), Reply(cuts=True), Reply(status=410)]
    await home.webhooks.publish(completed(home.organisation))
    await ended(admin, made["id"])
    await delete(trainer, f"{WEBHOOKS}/{made['id']}")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("puna.")]
    assert any(made["id"] in line for line in ours)
    assert made["secret"] not in caplog.text
    assert all("T0K3N" not in line for line in ours)
