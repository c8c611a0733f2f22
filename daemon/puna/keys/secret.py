"""The text of a key: 256 random bits behind a prefix by which people and logs know it."""

import hashlib
import secrets
import string

PREFIX = "puna_"
"""`puna.redaction` hides what begins so."""

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 43
"""62 ** 43 is just above 2 ** 256."""
_HINT_LENGTH = len(PREFIX) + 4


def make_secret() -> str:
    """Return a new key: letters and digits only, so that a double click takes all of it."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def hash_secret(secret: str) -> bytes:
    """Return what is stored. A key is random, so that a fast hash without salt is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def hint_of(secret: str) -> str:
    """Return the beginning, by which its owner tells it from others: `puna_Ab3x`."""
    return secret[:_HINT_LENGTH]
