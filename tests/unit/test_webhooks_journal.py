"""Webhooks on disk: what was published survives a kill, all of it or nothing, and secrets are nobody else's to read."""

import asyncio
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.webhook_home import completed, organisation_of, wish_of
from puna.store.database import Database
from puna.webhooks import queue_table
from puna.webhooks.journal import WebhookJournal
from puna.webhooks.outcome import Answered
from puna.webhooks.ports import Landing
from puna.webhooks.records import Attempt, DeliveryState
from puna.webhooks.schedule import Again, Delivered, Schedule

NOW_S = 1_767_323_045.0


class Disk:
    """A database that can be left behind as a killed daemon leaves it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(path)
        self.organisation = organisation_of(self.database)
        self.journal = WebhookJournal(self.database, now=lambda: NOW_S)

    def copy_as_after_a_kill(self) -> "Disk":
        copy = self.path.with_name("after-the-kill.sqlite")
        for ending in ("", "-wal"):
            copy.with_name(copy.name + ending).write_bytes(
                self.path.with_name(self.path.name + ending).read_bytes()
            )
        return Disk(copy)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "puna.sqlite")
    yield disk
    disk.database.close()


async def test_what_was_published_survives_a_kill(disk: Disk) -> None:
    made = await disk.journal.add(wish_of(disk.organisation, "http://127.0.0.1:1/a"))
    published = await disk.journal.publish(completed(disk.organisation))
    after = disk.copy_as_after_a_kill()
    left = await after.journal.open()
    assert left.pending == published.pending
    parcel = await after.journal.parcel(left.pending[0].id)
    assert parcel is not None
    assert parcel == await disk.journal.parcel(left.pending[0].id)
    assert parcel.secret == made.secret
    assert (await after.journal.publish(completed(disk.organisation))).pending == ()
    after.database.close()


async def test_an_event_without_its_deliveries_is_never_kept(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await disk.journal.add(wish_of(disk.organisation, f"http://127.0.0.1:{number + 1}/a"))
    real, calls = queue_table._insert_delivery, []

    def fail_at_the_last(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise sqlite3.OperationalError("no")
        return real(*arguments)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(queue_table, "_insert_delivery", fail_at_the_last)
    with pytest.raises(sqlite3.OperationalError):
        await disk.journal.publish(completed(disk.organisation))
    assert (await disk.journal.open()).pending == ()
    monkeypatch.undo()
    assert len((await disk.journal.publish(completed(disk.organisation))).pending) == 3


async def test_what_has_ended_stays_as_it_is(disk: Disk) -> None:
    webhook = (await disk.journal.add(wish_of(disk.organisation, "http://127.0.0.1:1/a"))).webhook
    (pending,) = (await disk.journal.publish(completed(disk.organisation))).pending

    def landing(verdict: Delivered | Again) -> Landing:
        attempt = Attempt(began_at=NOW_S, duration_s=0.1, status=200, failure=None)
        return Landing(
            pending=pending, attempt=attempt, verdict=verdict, due_s=NOW_S + 9, paused_until_s=NOW_S
        )

    await disk.journal.record([landing(Delivered()), landing(Again(9))])
    await disk.journal.record([landing(Again(9))])
    (delivery,) = await disk.journal.deliveries(webhook.id, 10)
    assert delivery.state is DeliveryState.DELIVERED
    assert len(delivery.attempts) == 1
    await disk.journal.remove(None, webhook.id)
    await disk.journal.record([landing(Again(9))])
    assert await disk.journal.parcel(pending.id) is None


async def test_a_pause_and_a_time_survive(disk: Disk) -> None:
    await disk.journal.add(wish_of(disk.organisation, "http://127.0.0.1:1/a"))
    (pending,) = (await disk.journal.publish(completed(disk.organisation))).pending
    verdict = Schedule().decide(Answered(status=429, retry_after_s=600), attempts=1, chance=0)
    landing = Landing(
        pending=pending,
        attempt=Attempt(began_at=NOW_S, duration_s=0.1, status=429, failure="The receiver answered 429."),
        verdict=verdict,
        due_s=NOW_S + 600.5,
        paused_until_s=NOW_S + 600,
    )
    await disk.journal.record([landing])
    left = await disk.journal.open()
    assert left.pauses == (("127.0.0.1:1", NOW_S + 600),)
    assert [(each.due_s, each.attempts) for each in left.pending] == [(NOW_S + 600.5, 1)]


async def test_many_publish_at_once_and_each_is_told_once(disk: Disk) -> None:
    await disk.journal.add(wish_of(disk.organisation, "http://127.0.0.1:1/a"))
    events = [completed(disk.organisation, f"job_{number % 5}") for number in range(20)]
    published = await asyncio.gather(*map(disk.journal.publish, events))
    assert sum(len(each.pending) for each in published) == 5
    assert len((await disk.journal.open()).pending) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
async def test_only_its_owner_can_read_the_secrets(disk: Disk) -> None:
    await disk.journal.add(wish_of(disk.organisation, "http://127.0.0.1:1/a"))
    for file in disk.path.parent.glob("puna.sqlite*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
