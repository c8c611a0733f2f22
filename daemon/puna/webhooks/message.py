"""The request of one attempt. Pure."""

from puna.webhooks.ports import Message, Parcel
from puna.webhooks.signature import sign

_NEVER_COMPRESSED = "identity"


def to_message(parcel: Parcel, *, now_s: float, version: str) -> Message:
    """Return what is sent now: the id and the body of every attempt, the time and the signature of this one."""
    timestamp = int(now_s)
    return Message(
        url=parcel.url,
        headers={
            "content-type": "application/json",
            "user-agent": f"Puna/{version}",
            # Puna's own door, and others that trust this machine, shall see that somebody else is behind this.
            "via": "1.1 puna-webhooks",
            "accept-encoding": _NEVER_COMPRESSED,
            "webhook-id": parcel.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(
                parcel.secret, message_id=parcel.message_id, timestamp=timestamp, body=parcel.body
            ),
        },
        body=parcel.body,
    )
