"""Webhooks and their deliveries as they are listed. Times are seconds since 1970."""

from enum import StrEnum

from msgspec import Struct

from puna.webhooks.payload import EventType


class WebhookStatus(StrEnum):
    """Whether it is told anything."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Webhook(Struct, frozen=True, kw_only=True):
    """An address that is told of events, without its secret."""

    id: str
    """`wh_` and random digits."""
    organisation_id: str
    """Only events of this organisation are told."""
    url: str
    events: tuple[EventType, ...]
    status: WebhookStatus
    disabled_reason: str | None = None
    """Why it is told nothing any more, in a sentence; null while it is active."""
    created_at: int


class NewWebhook(Struct, frozen=True, kw_only=True):
    """A webhook that was just made, and the only look at its secret."""

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        """Return it without the secret: this may end up in a log."""
        return f"NewWebhook({self.webhook!r})"


class WebhookWish(Struct, frozen=True, kw_only=True):
    """What somebody wants to be told, and where."""

    organisation_id: str
    url: str
    events: tuple[EventType, ...]


class DeliveryState(StrEnum):
    """What became of a message to one webhook."""

    PENDING = "pending"
    """It waits for its next attempt, or is under way."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """For good: it is not tried again."""


class Attempt(Struct, frozen=True, kw_only=True):
    """One request to the receiver."""

    began_at: float
    duration_s: float
    status: int | None
    """The HTTP status of the answer; null where there was none."""
    failure: str | None
    """Why it does not count as delivered, in a sentence; null where it does."""


class Delivery(Struct, frozen=True, kw_only=True):
    """One message to one webhook, with what has been tried so far."""

    id: int
    webhook_id: str
    message_id: str
    """`webhook-id` of all its attempts."""
    event: EventType
    job_id: str
    """The fine-tune that it tells of."""
    state: DeliveryState
    failure: str | None
    """Why it was given up, in a sentence."""
    created_at: int
    next_attempt_at: float | None
    """Null where there is none; a receiver that asked for a pause may be asked later."""
    ended_at: int | None
    attempts: tuple[Attempt, ...]
    """The first one first; ten at most."""
