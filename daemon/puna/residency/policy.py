"""Which models leave memory to make room for others. Pure."""

from collections.abc import Sequence

from msgspec import Struct


class Candidate(Struct, frozen=True):
    """A loaded model as the policy sees it."""

    id: str
    is_busy: bool
    last_used: int
    """Larger is later."""


def choose_evictions(loaded: Sequence[Candidate], *, limit: int, keep: str) -> list[str]:
    """Return the ids to unload so that at most `limit` models stay: the least recently used idle ones.

    A busy model and `keep` are never chosen, so more than `limit` may stay until requests end.
    """
    surplus = len(loaded) - limit
    idle = sorted(
        (candidate for candidate in loaded if not candidate.is_busy and candidate.id != keep),
        key=lambda candidate: candidate.last_used,
    )
    return [candidate.id for candidate in idle[: max(surplus, 0)]]
