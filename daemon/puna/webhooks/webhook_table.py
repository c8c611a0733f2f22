"""Webhooks in the database. Every function runs inside a transaction of `puna.store`."""

import secrets
import sqlite3

from puna.errors import InvalidRequestError, NotFoundError
from puna.webhooks.payload import EventType
from puna.webhooks.records import NewWebhook, Webhook, WebhookStatus, WebhookWish
from puna.webhooks.signature import make_secret

MOST_WEBHOOKS = 50
"""Of one organisation."""

_SELECT = "SELECT id, organisation_id, url, events, disabled_reason, created_at FROM webhooks"
_OWN = " WHERE (?1 IS NULL OR organisation_id = ?1)"

_Row = tuple[str, str, str, str, str | None, int]


def insert_webhook(connection: sqlite3.Connection, *, wish: WebhookWish, now: int) -> NewWebhook:
    """Make a webhook. Raises `InvalidRequestError` where the organisation has too many."""
    [count] = connection.execute(
        "SELECT count(*) FROM webhooks WHERE organisation_id = ?", (wish.organisation_id,)
    ).fetchone()
    if count >= MOST_WEBHOOKS:
        raise InvalidRequestError(f"There are {count} webhooks, the most there may be; delete one first.")
    webhook = Webhook(
        id=f"wh_{secrets.token_hex(12)}",
        organisation_id=wish.organisation_id,
        url=wish.url,
        events=tuple(type_ for type_ in EventType if type_ in wish.events),
        status=WebhookStatus.ACTIVE,
        created_at=now,
    )
    secret = make_secret()
    connection.execute(
        "INSERT INTO webhooks (id, organisation_id, url, events, secret, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (webhook.id, webhook.organisation_id, webhook.url, ",".join(webhook.events), secret, now),
    )
    return NewWebhook(webhook=webhook, secret=secret)


def select_webhooks(connection: sqlite3.Connection, *, organisation_id: str | None) -> list[Webhook]:
    """Return the webhooks of an organisation, or all of them; the oldest first."""
    rows = connection.execute(f"{_SELECT}{_OWN} ORDER BY created_at, rowid", (organisation_id,))
    return [_to_webhook(row) for row in rows]


def select_webhook(
    connection: sqlite3.Connection, *, organisation_id: str | None, webhook_id: str
) -> Webhook:
    """Return one. Raises `NotFoundError` where the organisation has none of this id."""
    row = connection.execute(f"{_SELECT}{_OWN} AND id = ?2", (organisation_id, webhook_id)).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no webhook {webhook_id[:100]}; list the webhooks to see which there are."
        )
    return _to_webhook(row)


def delete_webhook(
    connection: sqlite3.Connection, *, organisation_id: str | None, webhook_id: str
) -> Webhook:
    """Forget a webhook, its secret and its deliveries, and return it. Raises `NotFoundError`."""
    webhook = select_webhook(connection, organisation_id=organisation_id, webhook_id=webhook_id)
    connection.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))
    return webhook


def _to_webhook(row: _Row) -> Webhook:
    id_, organisation_id, url, events, disabled_reason, created_at = row
    return Webhook(
        id=id_,
        organisation_id=organisation_id,
        url=url,
        events=tuple(EventType(type_) for type_ in events.split(",")),
        status=WebhookStatus.DISABLED if disabled_reason else WebhookStatus.ACTIVE,
        disabled_reason=disabled_reason,
        created_at=created_at,
    )
