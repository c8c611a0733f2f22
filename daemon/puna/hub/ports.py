"""What a transfer needs of the world, and what it is asked for."""

from typing import Protocol

from msgspec import Struct

from puna.hub.records import FileMetadata


class Wanted(Struct, frozen=True, kw_only=True):
    """A file at one commit."""

    repo: str
    commit: str
    name: str
    size_bytes: int | None = None
    """As the repository's listing says; what the file itself says later counts."""


class MetadataSource(Protocol):
    """Tells what to expect of a file; `puna.hub.client.HubClient` is the real one."""

    async def metadata(self, repo: str, name: str, commit: str) -> FileMetadata:
        """Ask the Hub now. Raises the errors of `puna.hub.failures`."""
        ...


class Watch(Protocol):
    """Who is told how a transfer goes; called from the event loop, must return at once."""

    def arrived(self, have_bytes: int, size_bytes: int) -> None:
        """So much is on disk now, of so much."""
        ...

    def told(self, note: str) -> None:
        """What it does beside receiving, in a few words, such as `checking`; empty when that is over."""
        ...


class ContentChangedError(Exception):
    """The Hub names other content for the file than when the transfer began."""
