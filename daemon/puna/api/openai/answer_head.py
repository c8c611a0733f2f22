"""What all parts of one answer share. Pure but for `new_head`."""

import secrets
import time

from msgspec import Struct

import puna

FINGERPRINT = f"puna-{puna.__version__}"
"""Which program answers, for clients that want to see it change."""


class AnswerHead(Struct, frozen=True, kw_only=True):
    """Who answers what, and since when."""

    id: str
    created: int
    """Seconds since 1970."""
    model: str
    """The name that the request used."""
    fingerprint: str = FINGERPRINT


def new_head(prefix: str, model: str) -> AnswerHead:
    """Return the head of a new answer, its id with a prefix such as `chatcmpl`."""
    return AnswerHead(id=f"{prefix}-{secrets.token_hex(12)}", created=int(time.time()), model=model)
