"""Names that come from people and from the Hub, checked before they become a part of an address or a path."""

import re
from pathlib import PureWindowsPath

from msgspec import Struct

from puna.errors import InvalidRequestError

DEFAULT_REVISION = "main"
_MAX_FILE_NAME_CHARACTERS = 400
_MAX_REVISION_CHARACTERS = 200
_ADDRESSES = re.compile(r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/", re.IGNORECASE)
_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,127}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_RESERVED_ON_WINDOWS = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)


class HubReference(Struct, frozen=True):
    """Some files of a repository, as people name them: `org/repo`, `org/repo:Q4_K_M`, `org/repo:Q8_0@revision`."""

    repo: str
    tag: str | None = None
    """A quantisation such as `Q4_K_M`, or a file's name; None is the recommended quantisation."""
    revision: str = DEFAULT_REVISION

    def __str__(self) -> str:
        """Return the shortest form that means the same."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repo}{tag}" + ("" if self.revision == DEFAULT_REVISION else f"@{self.revision}")


def parse_reference(name: str) -> HubReference | None:
    """Return what a name means on the Hub; None where it cannot be a name there.

    Takes the addresses of web pages too, and `hf.co/org/repo:Q4_K_M` as Ollama writes it. The tag `latest`
    means the recommended quantisation.
    """
    rest, _, revision = _ADDRESSES.sub("", name.strip(), count=1).partition("@")
    repo, _, tag = rest.partition(":")
    repo, file_name = _split_web_path(repo)
    if tag.lower() == "latest":
        tag = ""
    tag = tag or file_name
    revision = revision or DEFAULT_REVISION
    if not is_repo_id(repo) or not is_revision(revision) or (tag and not _is_tag(tag)):
        return None
    return HubReference(repo, tag or None, revision)


def _split_web_path(path: str) -> tuple[str, str]:
    """Return the repository and the file of `org/repo/blob/main/file.gguf`, which browsers show."""
    parts = path.rstrip("/").split("/")
    if len(parts) >= 5 and parts[2] in {"blob", "resolve"} and parts[3] == DEFAULT_REVISION:
        return "/".join(parts[:2]), "/".join(parts[4:])
    return "/".join(parts), ""


def _is_tag(tag: str) -> bool:
    return bool(_TAG.fullmatch(tag)) or (tag.lower().endswith(".gguf") and is_file_name(tag))


def is_repo_id(text: str) -> bool:
    """Return whether the Hub could have a repository of this name."""
    if not _REPO.fullmatch(text) or "--" in text or ".." in text:
        return False
    return all(not part.endswith((".", "-", ".git")) for part in text.split("/"))


def is_revision(text: str) -> bool:
    """Return whether this can name a branch, a tag or a commit, and a file below `refs`."""
    if len(text) > _MAX_REVISION_CHARACTERS or not _REVISION.fullmatch(text):
        return False
    return is_file_name(text) and not text.endswith(".lock")


def is_commit(text: str) -> bool:
    """Return whether this is the full hash of a commit."""
    return bool(_COMMIT.fullmatch(text))


def is_etag(text: str) -> bool:
    """Return whether the Hub's name for a content can be the name of a file."""
    return bool(_ETAG.fullmatch(text))


def is_file_name(name: str) -> bool:
    """Return whether a path from the Hub stays below the folder that it is put in, on every system."""
    if not name or len(name) > _MAX_FILE_NAME_CHARACTERS or not name.isprintable() or "\\" in name:
        return False
    if PureWindowsPath(name).drive or ":" in name:
        return False
    return all(_is_segment(segment) for segment in name.split("/"))


def _is_segment(segment: str) -> bool:
    if segment in {"", ".", ".."} or segment != segment.rstrip(". "):
        return False
    return len(segment) <= 255 and not _RESERVED_ON_WINDOWS.fullmatch(segment.partition(".")[0])


def check_repo_id(repo: str) -> None:
    """Raise `InvalidRequestError` for what can be no repository."""
    if not is_repo_id(repo):
        raise InvalidRequestError(f"{repo[:200]!r} is not a valid model name; the Hub's look like org/name.")


def check_file_name(name: str) -> None:
    """Raise `InvalidRequestError` for a file name that could leave its folder."""
    if not is_file_name(name):
        raise InvalidRequestError(f"{name[:200]!r} is not a valid file name.")
