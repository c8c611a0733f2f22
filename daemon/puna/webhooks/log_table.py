"""The delivery log in the database: reading it, and forgetting what is old. One transaction for each function."""

import sqlite3

from puna.webhooks.payload import EventType
from puna.webhooks.records import Attempt, Delivery, DeliveryState

KEEP_S = 30 * 86_400
"""How long a delivery is listed after its end."""
MOST_ENDED = 100
"""Ended deliveries of one webhook that are listed."""


def select_deliveries(connection: sqlite3.Connection, *, webhook_id: str, limit: int) -> list[Delivery]:
    """Return the last deliveries of a webhook with their attempts, the newest first."""
    rows = connection.execute(
        "SELECT number, event_id, type, job_id, state, failure, deliveries.created_at, due_at, ended_at"
        " FROM deliveries JOIN webhook_events ON webhook_events.id = event_id"
        " WHERE webhook_id = ? ORDER BY number DESC LIMIT ?",
        (webhook_id, limit),
    ).fetchall()
    return [
        Delivery(
            id=number,
            webhook_id=webhook_id,
            message_id=message_id,
            event=EventType(type_),
            job_id=job_id,
            state=DeliveryState(state),
            failure=failure,
            created_at=created_at,
            next_attempt_at=due_at if ended_at is None else None,
            ended_at=ended_at,
            attempts=_select_attempts(connection, number),
        )
        for number, message_id, type_, job_id, state, failure, created_at, due_at, ended_at in rows
    ]


def delete_old(connection: sqlite3.Connection, *, now_s: float) -> int:
    """Forget deliveries that ended long ago, or before many later ones, and events; returns how many deliveries."""
    before = int(now_s - KEEP_S)
    aged = connection.execute("DELETE FROM deliveries WHERE ended_at < ?", (before,)).rowcount
    surplus = connection.execute(
        "DELETE FROM deliveries WHERE ended_at IS NOT NULL AND number <= ("
        " SELECT number FROM deliveries AS other WHERE other.webhook_id = deliveries.webhook_id"
        " AND other.ended_at IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (MOST_ENDED,),
    ).rowcount
    # Young events stay without deliveries too: by them one that is published twice is known.
    connection.execute(
        "DELETE FROM webhook_events WHERE created_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_id = webhook_events.id)",
        (before,),
    )
    return aged + surplus


def _select_attempts(connection: sqlite3.Connection, number: int) -> tuple[Attempt, ...]:
    rows = connection.execute(
        "SELECT began_at, duration_s, status, failure FROM delivery_attempts WHERE delivery = ? ORDER BY number",
        (number,),
    )
    return tuple(
        Attempt(began_at=began_at, duration_s=duration_s, status=status, failure=failure)
        for began_at, duration_s, status, failure in rows
    )
