"""What came of one attempt, and how it is told. Pure."""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

from msgspec import Struct

GONE = 410
THROTTLING = frozenset({429, 502, 504})
"""Answers of a receiver, or of a proxy before it, that has too much to do (Standard Webhooks 1.0.0)."""


class Answered(Struct, frozen=True, kw_only=True):
    """The receiver answered."""

    status: int
    retry_after_s: float | None = None
    """When it wants to be asked again, where it said so."""


class Unanswered(Struct, frozen=True):
    """It did not, or was not asked."""

    reason: str
    """A sentence."""


Result = Answered | Unanswered


def is_success(result: Result) -> bool:
    """Whether the receiver has the message: 2xx, and nothing else."""
    return isinstance(result, Answered) and 200 <= result.status <= 299


def failure_of(result: Result) -> str | None:
    """Return why the message does not count as delivered, in a sentence; None where it does."""
    if isinstance(result, Unanswered):
        return result.reason
    if is_success(result):
        return None
    match result.status:
        case 410:
            return "The receiver answered 410: it wants no more messages."
        case status if 300 <= status <= 399:
            return f"The receiver answered {status}, and redirects are not followed."
        case status:
            return f"The receiver answered {status}."


def parse_retry_after(text: str | None, *, now_s: float) -> float | None:
    """Return the seconds of a `Retry-After`, whole seconds or a date; None where there is no sound one."""
    if text is None:
        return None
    if text.strip().isdecimal() and text.isascii():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        at_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return max(0.0, at_s - now_s) if math.isfinite(at_s) else None
