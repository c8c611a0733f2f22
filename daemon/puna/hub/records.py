"""What the Hub tells of repositories and their files."""

from msgspec import Struct


class RepoFile(Struct, frozen=True, kw_only=True):
    """A file of a repository."""

    name: str
    """Its path in the repository, checked: relative, without `..`."""
    size_bytes: int | None = None
    """None where the Hub was not asked, or does not say."""
    etag: str | None = None
    """What `FileMetadata.etag` will be, where the listing tells."""


class RepoInfo(Struct, frozen=True, kw_only=True):
    """A repository at one commit."""

    id: str
    """`organisation/name`."""
    commit: str = ""
    """Forty hexadecimal digits; empty where the Hub does not say."""
    files: tuple[RepoFile, ...] = ()
    downloads: int = 0
    """Within the last month, as the Hub counts."""
    likes: int = 0
    is_gated: bool = False
    """Whether a licence must be accepted on its page first."""
    is_private: bool = False
    licence: str = ""
    """Such as `apache-2.0`; empty where its card does not say."""
    architecture: str = ""
    parameter_count: int = 0
    context_length: int = 0
    updated: str = ""
    """The day of its last change, such as `2026-01-31`."""


class FileMetadata(Struct, frozen=True, kw_only=True):
    """What a download needs to know of one file at one commit."""

    commit: str
    etag: str
    """Names its content: the sha256 of a large file, git's sha1 of a small one."""
    size_bytes: int
    location: str
    """Where its bytes are for some minutes: often a signed address of another host."""
