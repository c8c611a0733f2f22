"""Secrets and signatures of Standard Webhooks 1.0.0. Pure, but for the random bytes.

A receiver gets the secret once, when the webhook is made. Unlike keys, of which a hash is enough, it is needed
for every signature, so it is stored as it is: in the database, whose file only its owner can read (0600), and
nowhere else. It stands in no log and in no list.
"""

import base64
import hashlib
import hmac
import secrets
import string

PREFIX = "whsec_"
"""`puna.redaction` hides what begins so."""
_SECRET_BYTES = 32
_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 27


def make_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def make_message_id() -> str:
    """Return a `webhook-id`: the same for every attempt of an event; it has no dot, which separates what is signed."""
    return "msg_" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return `webhook-signature` for these bytes at this time, in whole seconds since 1970."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
