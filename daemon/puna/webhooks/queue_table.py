"""Events and the deliveries that have not ended, in the database. Each function runs inside one transaction."""

import sqlite3
from collections.abc import Sequence
from typing import assert_never

from puna.domain.finetune_events import FinetuneEvent
from puna.webhooks.address import receiver_of
from puna.webhooks.backlog import Pending
from puna.webhooks.payload import to_body, type_of
from puna.webhooks.ports import Landing, Open, Parcel, Published
from puna.webhooks.records import DeliveryState
from puna.webhooks.schedule import Again, Delivered, GivenUp, Gone
from puna.webhooks.signature import make_message_id

MOST_PENDING = 1000
"""Deliveries that wait for one webhook; the oldest is given up for a newer one."""


def insert_event(connection: sqlite3.Connection, *, event: FinetuneEvent, now_s: float) -> Published:
    """Keep an event with a delivery for each active webhook that wants it. The second time nothing happens."""
    message_id = make_message_id()
    is_new = connection.execute(
        "INSERT OR IGNORE INTO webhook_events (id, type, job_id, body, created_at) VALUES (?, ?, ?, ?, ?)",
        (message_id, type_of(event), event.job_id, to_body(event), int(now_s)),
    ).rowcount
    if not is_new:
        return Published()
    made = [
        _insert_delivery(connection, webhook_id, url, message_id, now_s)
        for webhook_id, url in _listeners(connection, event)
    ]
    given_up = [each for pending in made for each in _make_room(connection, pending.webhook_id, now_s)]
    return Published(pending=tuple(made), given_up=tuple(given_up))


def select_open(connection: sqlite3.Connection) -> Open:
    """Return the deliveries that have not ended, and the pauses that their receivers asked for."""
    rows = connection.execute(
        "SELECT number, webhook_id, url, due_at, attempts, paused_until FROM deliveries"
        " JOIN webhooks ON webhooks.id = webhook_id WHERE ended_at IS NULL ORDER BY number"
    ).fetchall()
    pauses = {(receiver_of(url), until) for _, _, url, _, _, until in rows if until}
    return Open(pending=tuple(_to_pending(*columns) for *columns, _ in rows), pauses=tuple(sorted(pauses)))


def select_parcel(connection: sqlite3.Connection, *, delivery_id: int) -> Parcel | None:
    """Return what an attempt needs; None where the delivery has ended or is forgotten."""
    row = connection.execute(
        "SELECT url, secret, event_id, body FROM deliveries JOIN webhooks ON webhooks.id = webhook_id"
        " JOIN webhook_events ON webhook_events.id = event_id WHERE number = ? AND ended_at IS NULL",
        (delivery_id,),
    ).fetchone()
    if row is None:
        return None
    url, secret, message_id, body = row
    return Parcel(url=url, secret=secret, message_id=message_id, body=body)


def apply_landings(connection: sqlite3.Connection, *, landings: Sequence[Landing], now_s: float) -> None:
    """Write what came of attempts. What has ended, or was forgotten meanwhile, stays so."""
    for landing in landings:
        number = landing.pending.attempts + 1
        is_open = connection.execute(
            "UPDATE deliveries SET attempts = ? WHERE number = ? AND ended_at IS NULL",
            (number, landing.pending.id),
        ).rowcount
        if is_open:
            _insert_attempt(connection, landing, number)
            _apply_verdict(connection, landing, now_s)


def _listeners(connection: sqlite3.Connection, event: FinetuneEvent) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT id, url, events FROM webhooks WHERE organisation_id = ? AND disabled_reason IS NULL"
        " ORDER BY created_at, rowid",
        (event.organisation_id,),
    )
    return [(id_, url) for id_, url, events in rows if type_of(event) in events.split(",")]


def _insert_delivery(
    connection: sqlite3.Connection, webhook_id: str, url: str, message_id: str, now_s: float
) -> Pending:
    number = connection.execute(
        "INSERT INTO deliveries (webhook_id, event_id, state, due_at, created_at) VALUES (?, ?, ?, ?, ?)",
        (webhook_id, message_id, DeliveryState.PENDING, now_s, int(now_s)),
    ).lastrowid
    assert number is not None
    return _to_pending(number, webhook_id, url, now_s, 0)


def _to_pending(number: int, webhook_id: str, url: str, due_s: float, attempts: int) -> Pending:
    return Pending(
        id=number,
        webhook_id=webhook_id,
        receiver=receiver_of(url),
        due_s=due_s,
        attempts=attempts,
    )


def _make_room(connection: sqlite3.Connection, webhook_id: str, now_s: float) -> list[int]:
    """Give up the oldest deliveries of a webhook where too many wait; returns them."""
    rows = connection.execute(
        "SELECT number FROM deliveries WHERE webhook_id = ? AND ended_at IS NULL"
        " ORDER BY number DESC LIMIT -1 OFFSET ?",
        (webhook_id, MOST_PENDING),
    ).fetchall()
    for (number,) in rows:
        failure = f"More than {MOST_PENDING} newer messages waited for this receiver."
        _end(connection, number, DeliveryState.FAILED, failure, now_s)
    return [number for (number,) in rows]


def _insert_attempt(connection: sqlite3.Connection, landing: Landing, number: int) -> None:
    attempt = landing.attempt
    connection.execute(
        "INSERT INTO delivery_attempts (delivery, number, began_at, duration_s, status, failure)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            landing.pending.id,
            number,
            attempt.began_at,
            attempt.duration_s,
            attempt.status,
            attempt.failure,
        ),
    )
    connection.execute(
        "UPDATE webhooks SET paused_until = max(paused_until, ?) WHERE id = ?",
        (landing.paused_until_s, landing.pending.webhook_id),
    )


def _apply_verdict(connection: sqlite3.Connection, landing: Landing, now_s: float) -> None:
    number = landing.pending.id
    match landing.verdict:
        case Delivered():
            _end(connection, number, DeliveryState.DELIVERED, None, now_s)
        case Again():
            connection.execute("UPDATE deliveries SET due_at = ? WHERE number = ?", (landing.due_s, number))
        case GivenUp(failure):
            _end(connection, number, DeliveryState.FAILED, failure, now_s)
        case Gone(failure):
            _disable(connection, landing.pending.webhook_id, failure, now_s)
        case _:
            assert_never(landing.verdict)


def _disable(connection: sqlite3.Connection, webhook_id: str, reason: str, now_s: float) -> None:
    """Tell a webhook nothing any more."""
    connection.execute("UPDATE webhooks SET disabled_reason = ? WHERE id = ?", (reason, webhook_id))
    connection.execute(
        "UPDATE deliveries SET state = ?, failure = ?, ended_at = ? WHERE webhook_id = ? AND ended_at IS NULL",
        (DeliveryState.FAILED, reason, int(now_s), webhook_id),
    )


def _end(
    connection: sqlite3.Connection, number: int, state: DeliveryState, failure: str | None, now_s: float
) -> None:
    connection.execute(
        "UPDATE deliveries SET state = ?, failure = ?, ended_at = ? WHERE number = ?",
        (state, failure, int(now_s), number),
    )
