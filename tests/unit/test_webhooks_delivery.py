"""Deliveries over days of virtual time and a real database: when they are tried, and what is left after a stop."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fakes.virtual_time import now_s, run_virtually
from fakes.webhook_home import (
    BEGAN_AT,
    ImmediateDatabase,
    Names,
    ScriptedSender,
    completed,
    failed,
    organisation_of,
    wish_of,
)
from puna.errors import InvalidRequestError, NotFoundError, StoreError
from puna.store.database import Database
from puna.webhooks import log_table, queue_table, webhook_table
from puna.webhooks.address import AddressRefusedError, AddressRules
from puna.webhooks.gate import Gate
from puna.webhooks.journal import WebhookJournal
from puna.webhooks.outcome import Answered, Result, Unanswered
from puna.webhooks.payload import EventType
from puna.webhooks.ports import Message
from puna.webhooks.records import Attempt, Delivery, DeliveryState, Webhook, WebhookStatus
from puna.webhooks.runner import RunnerOptions
from puna.webhooks.schedule import DELAYS_S, JITTER, THROTTLE_S
from puna.webhooks.service import WebhookService

DAY_S = 86_400.0
LAST_S = sum(DELAYS_S) * (1 + JITTER)
"""By then every attempt has been made."""
SILENCE = Unanswered("No answer came within 20 seconds.")


class Home:
    """A disk that stays, and daemons that come and go."""

    def __init__(self, path: Path) -> None:
        self.real = Database.open(path)
        self.disk = ImmediateDatabase(self.real)
        self.organisation = organisation_of(self.real)
        self.sender = ScriptedSender()
        self.chance: Callable[[], float] = lambda: 0.5
        self.clock_shift_s = 0.0
        self.names = Names()

    def now(self) -> float:
        return BEGAN_AT + now_s() + self.clock_shift_s

    def daemon(self) -> WebhookService:
        return WebhookService(
            WebhookJournal(self.disk, now=self.now),
            self.sender,
            Gate(AddressRules(), self.names),
            RunnerOptions(),
            now=self.now,
            chance=lambda: self.chance(),  # noqa: PLW0108 - a test may change it
        )

    async def add(
        self, service: WebhookService, url: str = "http://127.0.0.1:1/a", *events: EventType
    ) -> Webhook:
        return (await service.create(wish_of(self.organisation, url, *events))).webhook

    async def log(self, service: WebhookService, webhook: Webhook) -> Sequence[Delivery]:
        return await service.deliveries(None, webhook.id)

    async def only(self, service: WebhookService, webhook: Webhook) -> Delivery:
        (delivery,) = await self.log(service, webhook)
        return delivery


Story = Callable[[Home, WebhookService], Coroutine[Any, Any, None]]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "puna.sqlite")
    yield home
    home.real.close()


async def stall() -> Result:
    """Receive nothing for longer than an attempt may take."""
    await asyncio.sleep(20)
    return SILENCE


def tell(home: Home, story: Story) -> None:
    """Run a story with a started service, which is closed at its end."""

    async def main() -> None:
        service = home.daemon()
        await service.start()
        try:
            await story(home, service)
        finally:
            await service.close()

    run_virtually(main())


def test_an_event_goes_to_all_who_want_it_at_once(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        both = await home.add(service, "http://127.0.0.1:1/both")
        good = await home.add(service, "http://127.0.0.1:2/good", EventType.COMPLETED)
        bad = await home.add(service, "http://127.0.0.1:3/bad", EventType.FAILED)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(1)
        assert home.sender.times_s == [0.0, 0.0]
        assert {each.url for _, each in home.sender.sent} == {both.url, good.url}
        assert len({each.headers["webhook-id"] for _, each in home.sender.sent}) == 1
        assert await home.log(service, bad) == []
        delivery = await home.only(service, good)
        assert delivery == Delivery(
            id=delivery.id,
            webhook_id=good.id,
            message_id=delivery.message_id,
            event=EventType.COMPLETED,
            job_id="job_1",
            state=DeliveryState.DELIVERED,
            failure=None,
            created_at=int(BEGAN_AT),
            next_attempt_at=None,
            ended_at=int(BEGAN_AT),
            attempts=(Attempt(began_at=BEGAN_AT, duration_s=0.0, status=204, failure=None),),
        )

    tell(home, story)


def test_other_organisations_hear_nothing(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        await home.add(service)
        await service.publish(completed("org_other"))
        await asyncio.sleep(DAY_S)
        assert home.sender.sent == []

    tell(home, story)


def test_ten_attempts_come_at_the_documented_times_and_then_it_is_over(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.sender.script = lambda _: SILENCE
        webhook = await home.add(service)
        await service.publish(failed(home.organisation))
        await asyncio.sleep(LAST_S)
        expected = [sum(DELAYS_S[: count + 1]) for count in range(10)]
        assert home.sender.times_s == pytest.approx(expected, abs=0.01)
        assert len({message.headers["webhook-id"] for _, message in home.sender.sent}) == 1
        stamps = [int(message.headers["webhook-timestamp"]) for _, message in home.sender.sent]
        assert stamps == pytest.approx([BEGAN_AT + at_s for at_s in expected], abs=1)
        delivery = await home.only(service, webhook)
        assert delivery.state is DeliveryState.FAILED
        assert delivery.failure == f"{SILENCE.reason} That was the last of 10 attempts."
        assert delivery.next_attempt_at is None
        assert [each.failure for each in delivery.attempts] == [SILENCE.reason] * 10
        assert (await service.get(None, webhook.id)).status is WebhookStatus.ACTIVE

    tell(home, story)


def test_jitter_spreads_retries_within_a_tenth(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.chance = random.Random(7).random
        home.sender.script = lambda _: Answered(status=500)
        await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(LAST_S)
        times = home.sender.times_s
        waits = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert len(waits) == 9
        for wait_s, delay_s in zip(waits, DELAYS_S[1:], strict=True):
            assert delay_s * (1 - JITTER) <= wait_s <= delay_s * (1 + JITTER) + 0.01
        assert waits != pytest.approx(DELAYS_S[1:], rel=1e-4)

    tell(home, story)


def test_a_receiver_that_recovers_gets_it_once_more(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        answers: list[Result] = [SILENCE, Answered(status=302), Answered(status=200)]
        home.sender.script = lambda _: answers.pop(0)
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(1)
        waiting = await home.only(service, webhook)
        assert waiting.state is DeliveryState.PENDING
        assert waiting.next_attempt_at == BEGAN_AT + 5
        await asyncio.sleep(LAST_S)
        delivery = await home.only(service, webhook)
        assert delivery.state is DeliveryState.DELIVERED
        assert [each.status for each in delivery.attempts] == [None, 302, 200]
        assert len(home.sender.sent) == 3

    tell(home, story)


def test_gone_disables_the_webhook_and_ends_all_that_waits_for_it(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        webhook, other = await home.add(service), await home.add(service, "http://127.0.0.1:2/b")
        home.sender.script = lambda message: SILENCE if message.url == webhook.url else Answered(status=200)
        await service.publish(completed(home.organisation, "job_1"))
        await asyncio.sleep(1)
        home.sender.script = lambda message: Answered(status=410 if message.url == webhook.url else 200)
        await service.publish(completed(home.organisation, "job_2"))
        await asyncio.sleep(LAST_S)
        disabled = await service.get(None, webhook.id)
        assert disabled.status is WebhookStatus.DISABLED
        assert disabled.disabled_reason == "The receiver answered 410: it wants no more messages."
        log = await home.log(service, webhook)
        assert [each.state for each in log] == [DeliveryState.FAILED] * 2
        assert [len(each.attempts) for each in log] == [1, 1]
        await service.publish(completed(home.organisation, "job_3"))
        await asyncio.sleep(DAY_S)
        assert len(await home.log(service, webhook)) == 2
        assert [each.state for each in await home.log(service, other)] == [DeliveryState.DELIVERED] * 3

    tell(home, story)


def test_gone_breaks_off_what_is_under_way_to_the_same_webhook(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        async def stall() -> Result:
            await asyncio.sleep(20)
            return Answered(status=200)

        answers: list[Result | Coroutine[Any, Any, Result]] = [Answered(status=410), stall()]
        home.sender.script = lambda _: answers.pop()
        webhook = await home.add(service)
        await service.publish(completed(home.organisation, "job_1"))
        await service.publish(completed(home.organisation, "job_2"))
        await asyncio.sleep(1)
        assert home.sender.under_way == 0
        assert {each.state for each in await home.log(service, webhook)} == {DeliveryState.FAILED}
        assert service._runner.backlog.waiting == service._runner.backlog.in_flight == 0

    tell(home, story)


@pytest.mark.parametrize("status", [429, 502, 504])
def test_a_throttling_receiver_gets_nothing_at_all_for_a_while(home: Home, status: int) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        answers: list[Result] = [Answered(status=status)]
        home.sender.script = lambda _: answers.pop() if answers else Answered(status=200)
        first = await home.add(service, "http://127.0.0.1:1/first")
        await service.publish(completed(home.organisation, "job_1"))
        await asyncio.sleep(1)
        same_host = await home.add(service, "http://127.0.0.1:1/second")
        elsewhere = await home.add(service, "http://127.0.0.1:2/other")
        await service.publish(completed(home.organisation, "job_2"))
        await asyncio.sleep(60)
        by_url = {
            each.url: [at_s for at_s, message in home.sender.sent if message.url == each.url]
            for each in (first, same_host, elsewhere)
        }
        assert by_url[elsewhere.url] == [1.0]
        assert by_url[same_host.url] == pytest.approx([THROTTLE_S], abs=0.01)
        assert by_url[first.url] == pytest.approx([0.0, THROTTLE_S, THROTTLE_S], abs=0.01)

    tell(home, story)


def test_retry_after_holds_over_a_restart(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        answers: list[Result] = [Answered(status=429, retry_after_s=600)]
        home.sender.script = lambda _: answers.pop() if answers else Answered(status=200)
        await home.add(service)
        await service.publish(completed(home.organisation, "job_1"))
        await asyncio.sleep(1)
        await service.close()
        again = home.daemon()
        await again.start()
        await again.publish(completed(home.organisation, "job_2"))
        await asyncio.sleep(2 * 600)
        assert home.sender.times_s[0] == 0.0
        assert len(home.sender.times_s) == 3
        assert all(600 <= at_s <= 600 * (1 + JITTER) for at_s in home.sender.times_s[1:])
        await again.close()

    tell(home, story)


def test_a_receiver_that_stalls_holds_up_nobody_else(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.sender.script = lambda message: stall() if "bad" in message.url else Answered(status=200)
        for number in range(10):
            await home.add(service, f"http://127.0.0.1:{100 + number}/bad")
        good = await home.add(service, "http://127.0.0.1:9/good")
        for number in range(30):
            await service.publish(completed(home.organisation, f"job_{number}"))
        await asyncio.sleep(200)
        times = [at_s for at_s, message in home.sender.sent if message.url == good.url]
        assert len(times) == 30
        # At first nobody is known to stall; from then on the others have half of the places.
        assert max(times) <= 40 + 0.01
        assert home.sender.most_under_way == 8

    tell(home, story)


def test_one_receiver_is_not_flooded(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        async def work() -> Result:
            await asyncio.sleep(1)
            return Answered(status=200)

        home.sender.script = lambda _: work()
        webhook = await home.add(service)
        for number in range(10):
            await service.publish(completed(home.organisation, f"job_{number}"))
        await asyncio.sleep(10)
        assert home.sender.most_under_way == 2
        assert {each.state for each in await home.log(service, webhook)} == {DeliveryState.DELIVERED}

    tell(home, story)


def test_a_restart_goes_on_where_the_schedule_was(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.sender.script = lambda _: SILENCE
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(100)
        await service.close()
        await asyncio.sleep(3600)
        assert home.sender.times_s == pytest.approx([0, 5], abs=0.01)
        home.sender.script = lambda _: Answered(status=200)
        again = home.daemon()
        await again.start()
        await asyncio.sleep(1)
        assert home.sender.times_s == pytest.approx([0, 5, 3700], abs=0.01)
        delivery = await home.only(again, webhook)
        assert delivery.state is DeliveryState.DELIVERED
        assert len(delivery.attempts) == 3
        await again.close()

    tell(home, story)


def test_an_attempt_that_a_stop_cut_off_is_made_again_with_the_same_id(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.sender.script = lambda _: stall()
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(1)
        before_s = now_s()
        await service.close()
        assert now_s() - before_s == pytest.approx(2, abs=0.1)
        assert home.sender.under_way == 0
        assert (await home.only(service, webhook)).attempts == ()
        home.sender.script = lambda _: Answered(status=200)
        again = home.daemon()
        await again.start()
        await asyncio.sleep(1)
        first, second = (message.headers["webhook-id"] for _, message in home.sender.sent)
        assert first == second
        assert (await home.only(again, webhook)).state is DeliveryState.DELIVERED
        await again.close()

    tell(home, story)


def test_an_attempt_that_ends_while_the_daemon_stops_counts(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        async def work() -> Result:
            await asyncio.sleep(1.5)
            return Answered(status=200)

        home.sender.script = lambda _: work()
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(0.5)
        await service.close()
        assert (await home.only(service, webhook)).state is DeliveryState.DELIVERED

    tell(home, story)


def test_an_event_that_is_published_twice_is_told_once(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        await home.add(service)
        for _ in range(3):
            await service.publish(completed(home.organisation))
        await service.publish(failed(home.organisation))
        await asyncio.sleep(1)
        assert len(home.sender.sent) == 2

    tell(home, story)


def test_a_full_disk_sends_nothing_twice_and_loses_nothing(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        def fill(_: Message) -> Result:
            home.disk.is_full = True
            return Answered(status=200)

        home.sender.script = fill
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(60)
        with pytest.raises(StoreError):
            await service.publish(completed(home.organisation, "job_2"))
        home.disk.is_full = False
        await asyncio.sleep(5)
        assert len(home.sender.sent) == 1
        assert (await home.only(service, webhook)).state is DeliveryState.DELIVERED

    tell(home, story)


def test_a_disk_that_cannot_be_read_delays_and_costs_no_attempt(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        home.disk.is_full = True
        await asyncio.sleep(60)
        assert home.sender.sent == []
        home.disk.is_full = False
        await asyncio.sleep(5)
        assert len((await home.only(service, webhook)).attempts) == 1

    tell(home, story)


def test_a_deleted_webhook_is_told_nothing_more(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.sender.script = lambda _: stall()
        webhook = await home.add(service)
        for number in range(4):
            await service.publish(completed(home.organisation, f"job_{number}"))
        await asyncio.sleep(1)
        assert home.sender.under_way == 2
        await service.delete(home.organisation, webhook.id)
        await asyncio.sleep(1)
        assert home.sender.under_way == 0
        await asyncio.sleep(DAY_S)
        assert len(home.sender.sent) == 2
        assert await service.list(None) == []
        for missing in (service.get, service.delete, service.deliveries):
            with pytest.raises(NotFoundError):
                await missing(None, webhook.id)
        [rows] = await home.disk.run(
            lambda connection: connection.execute(
                "SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM delivery_attempts)"
            ).fetchone()
        )
        assert rows == 0

    tell(home, story)


def test_a_client_that_leaves_while_it_deletes_a_webhook_stops_what_is_under_way_too(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.sender.script = lambda _: stall()
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(1)
        assert home.sender.under_way == 1
        deleting = asyncio.create_task(service.delete(home.organisation, webhook.id))
        for _ in range(2):  # so that the database has begun
            await asyncio.sleep(0)
        deleting.cancel()
        await asyncio.sleep(1)
        assert deleting.cancelled()
        assert await service.list(None) == []
        assert home.sender.under_way == 0

    tell(home, story)


def test_a_clock_that_was_wrong_holds_up_nothing_for_years(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.clock_shift_s = 10 * 365 * DAY_S
        home.sender.script = lambda _: SILENCE
        webhook = await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(1)
        await service.close()
        home.clock_shift_s = 0
        home.sender.script = lambda _: Answered(status=200)
        again = home.daemon()
        await again.start()
        await asyncio.sleep(2 * DAY_S)
        assert (await home.only(again, webhook)).state is DeliveryState.DELIVERED
        await again.close()

    tell(home, story)


def test_a_machine_that_slept_goes_on_within_a_minute(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        answers: list[Result] = [SILENCE, SILENCE]
        home.sender.script = lambda _: answers.pop() if answers else Answered(status=200)
        await home.add(service)
        await service.publish(completed(home.organisation))
        await asyncio.sleep(10)
        home.clock_shift_s = 3600
        await asyncio.sleep(61)
        assert len(home.sender.sent) == 3

    tell(home, story)


def test_the_queue_of_a_receiver_has_an_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_table, "MOST_PENDING", 3)

    async def story(home: Home, service: WebhookService) -> None:
        home.sender.script = lambda _: SILENCE
        webhook = await home.add(service)
        for number in range(5):
            await service.publish(completed(home.organisation, f"job_{number}"))
            await asyncio.sleep(1)
        states = [each.state for each in await home.log(service, webhook)]
        assert states == [DeliveryState.PENDING] * 3 + [DeliveryState.FAILED] * 2
        assert service._runner.backlog.waiting == 3
        home.sender.script = lambda _: Answered(status=200)
        await asyncio.sleep(600)
        states = [each.state for each in await home.log(service, webhook)]
        assert states == [DeliveryState.DELIVERED] * 3 + [DeliveryState.FAILED] * 2

    tell(home, story)


def test_the_log_is_bounded_in_number_and_in_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_table, "KEEP_S", DAY_S)
    monkeypatch.setattr(log_table, "MOST_ENDED", 10)

    async def story(home: Home, service: WebhookService) -> None:
        webhook = await home.add(service)
        for number in range(15):
            await service.publish(completed(home.organisation, f"job_{number}"))
        await asyncio.sleep(3700)
        log = await home.log(service, webhook)
        assert len(log) == 10
        assert log[0].job_id == "job_14"
        await asyncio.sleep(DAY_S)
        assert await home.log(service, webhook) == []
        [left] = await home.disk.run(
            lambda connection: connection.execute("SELECT count(*) FROM webhook_events").fetchone()
        )
        assert left == 0

    tell(home, story)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "metadata"),
        ("http://sly.example/x", "sly.example leads to 169.254.169.254"),
        ("http://192.168.1.1/x", "private"),
        ("http://[fe80::1]/x", "link-local"),
        ("http://0.0.0.0/x", "unspecified"),
        ("ftp://example.org/x", "whole http or https URL"),
    ],
)
def test_a_forbidden_address_is_refused_when_the_webhook_is_made(home: Home, url: str, words: str) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        home.names.addresses["sly.example"] = ("169.254.169.254",)
        with pytest.raises(AddressRefusedError, match=words):
            await home.add(service, url)
        assert await service.list(None) == []

    tell(home, story)


def test_a_name_that_is_not_known_yet_is_let_in(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        webhook = await home.add(service, "https://your-app.com/webhook")
        assert home.names.asked == ["your-app.com"]
        assert list(await service.list(home.organisation)) == [webhook]

    tell(home, story)


def test_an_organisation_has_so_many_webhooks_at_most(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_table, "MOST_WEBHOOKS", 2)

    async def story(home: Home, service: WebhookService) -> None:
        await home.add(service)
        await home.add(service)
        with pytest.raises(InvalidRequestError, match="the most there may be; delete one first"):
            await home.add(service)

    tell(home, story)


def test_many_receivers_and_random_answers_end_within_the_schedule(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        chance = random.Random(3)
        home.chance = chance.random
        kinds: list[Result] = [SILENCE, Answered(status=500), Answered(status=200), Answered(status=429)]

        async def answer() -> Result:
            await asyncio.sleep(chance.random() * 20)
            return chance.choice(kinds)

        home.sender.script = lambda _: answer()
        webhooks = [await home.add(service, f"http://127.0.0.1:{number + 1}/x") for number in range(12)]
        for number in range(10):
            await service.publish(completed(home.organisation, f"job_{number}"))
        await asyncio.sleep(LAST_S + DAY_S)
        for webhook in webhooks:
            log = await home.log(service, webhook)
            assert len(log) == 10
            for each in log:
                statuses = [attempt.status for attempt in each.attempts]
                is_delivered = each.state is DeliveryState.DELIVERED
                assert is_delivered == (statuses[-1] == 200)
                assert 200 not in statuses[:-1]
                assert is_delivered or len(statuses) == len(DELAYS_S)
        assert home.sender.most_under_way <= 8

    tell(home, story)


def test_records_do_not_change_by_reading(home: Home) -> None:
    async def story(home: Home, service: WebhookService) -> None:
        webhook = await home.add(service, "http://127.0.0.1:1/a", EventType.FAILED, EventType.COMPLETED)
        assert webhook.events == (EventType.COMPLETED, EventType.FAILED)
        assert await service.get(home.organisation, webhook.id) == webhook
        with pytest.raises(NotFoundError):
            await service.get("org_other", webhook.id)
        with pytest.raises(NotFoundError):
            await service.delete("org_other", webhook.id)
        assert await service.list("org_other") == []
        assert list(await service.list(None)) == [webhook]

    tell(home, story)
