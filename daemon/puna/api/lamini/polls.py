"""The requests whose results are fetched later, in memory: bounded in number, size and age, each its owner's."""

import secrets
import time
from collections.abc import Callable

from aiohttp import web
from msgspec import Struct

from puna.api.lamini.output_type import OutputType
from puna.api.lamini.progress import Progress
from puna.errors import NotFoundError, OverloadedError

MAX_POLLS = 512
MAX_POLLS_OF_ONE = 64
"""Of one key, or of all programs on this machine that need none."""
MAX_BYTES = 64 * 1024 * 1024
MAX_AGE_S = 3600.0
"""How long a result is kept after the last time that somebody asked for it."""
STREAM_PATIENCE_S = 120.0
"""How long a stream runs on while nobody asks for it: its client is gone, and it holds a slot."""
_RETRY_AFTER_S = 10.0


class Poll(Struct):
    """One request under way, or its result."""

    id: str
    owner: str
    fingerprint: bytes
    """Of the request, for clients that send it again and again; empty where an id is used."""
    is_stream: bool
    output_type: OutputType | None
    progress: Progress
    asked_at: float


class Polls:
    """All of them. Used from the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._polls: dict[str, Poll] = {}

    def __len__(self) -> int:
        return len(self._polls)

    def add(
        self,
        owner: str,
        count: int,
        output_type: OutputType | None = None,
        *,
        is_stream: bool,
        fingerprint: bytes = b"",
    ) -> Poll:
        """Return a new one for so many prompts. Raises `OverloadedError` when too many are under way."""
        self._drop_old()
        self._make_room(owner)
        poll = Poll(
            id=secrets.token_hex(16),
            owner=owner,
            fingerprint=fingerprint,
            is_stream=is_stream,
            output_type=output_type,
            progress=Progress(count),
            asked_at=self._clock(),
        )
        self._polls[poll.id] = poll
        return poll

    def find(self, poll_id: str, owner: str) -> Poll:
        """Return the owner's one with this id. Raises `NotFoundError`."""
        self._drop_old()
        poll = self._polls.get(poll_id)
        if poll is None or poll.owner != owner:
            raise NotFoundError("There is no result with this id; results are kept for an hour.")
        self.note_interest(poll)
        return poll

    def find_again(self, fingerprint: bytes, owner: str) -> Poll | None:
        """Return the owner's one that began with the same request."""
        self._drop_old()
        for poll in self._polls.values():
            if poll.fingerprint == fingerprint and poll.owner == owner:
                self.note_interest(poll)
                return poll
        return None

    def note_interest(self, poll: Poll) -> None:
        """Note that somebody wants it now."""
        poll.asked_at = self._clock()

    def forget_request(self, poll: Poll) -> None:
        """Let the same request begin anew from now on; the result stays for its id."""
        poll.fingerprint = b""

    def is_abandoned(self, poll: Poll) -> bool:
        """Whether a stream's client is gone."""
        return poll.is_stream and self._clock() - poll.asked_at > STREAM_PATIENCE_S

    def _drop_old(self) -> None:
        now = self._clock()
        old = [
            poll.id
            for poll in self._polls.values()
            if poll.progress.is_over and now - poll.asked_at > MAX_AGE_S
        ]
        for poll_id in old:
            del self._polls[poll_id]

    def _make_room(self, owner: str) -> None:
        while sum(poll.owner == owner for poll in self._polls.values()) >= MAX_POLLS_OF_ONE:
            self._drop_oldest([poll for poll in self._polls.values() if poll.owner == owner])
        while len(self._polls) >= MAX_POLLS or self._size_bytes() > MAX_BYTES:
            self._drop_oldest(list(self._polls.values()))

    def _drop_oldest(self, candidates: list[Poll]) -> None:
        over = [poll for poll in candidates if poll.progress.is_over]
        if not over:
            raise OverloadedError(
                f"{len(candidates)} requests are under way already; try again later.",
                retry_after_s=_RETRY_AFTER_S,
            )
        del self._polls[min(over, key=lambda poll: poll.asked_at).id]

    def _size_bytes(self) -> int:
        return sum(poll.progress.size_bytes for poll in self._polls.values())


POLLS: web.AppKey[Polls] = web.AppKey("lamini_polls")


def polls_of(request: web.Request) -> Polls:
    """Return those of this application."""
    return request.app[POLLS]
