"""The only importer of `huggingface_hub`: blocking calls with a time limit, and its errors as ours.

Import this module in a thread: it takes a fifth of a second. The library's own retries, which block for up to 23
seconds, never happen: its session fails for good where it would try again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, ModelInfo, get_hf_file_metadata, set_client_factory
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import _shared_blobs
from msgspec import Struct
from msgspec.structs import replace

from puna.errors import PunaError
from puna.hub import failures
from puna.hub.names import is_commit, is_etag, is_file_name, is_repo_id
from puna.hub.records import FileMetadata, RepoFile, RepoInfo
from puna.hub.token import origin_of

_T = TypeVar("_T")

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""The listing of a repository with some ten thousand files takes less."""
_MAX_FILES = 20_000
_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 10.0
_EXPAND: Any = ["downloads", "gated", "gguf", "lastModified", "likes", "private", "sha", "siblings", "tags"]


class Call(Struct, frozen=True, kw_only=True):
    """One call of the library: whom to ask, as whom, and until when."""

    endpoint: str
    token: str | None
    deadline_s: float
    """On the monotonic clock."""
    repo: str = ""
    revision: str = ""
    file: str = ""


_call: ContextVar[Call] = ContextVar("_call")


class Asker:
    """Puts one question to the Hub, in a thread; every method blocks until `deadline_s` at most."""

    def __init__(self, endpoint: str, token: str | None, deadline_s: float) -> None:
        """`deadline_s` is on the monotonic clock."""
        self._call = Call(endpoint=endpoint, token=token, deadline_s=deadline_s)

    def search(self, query: str, limit: int) -> list[RepoInfo]:
        """Return repositories with GGUF files whose name has these words, the most downloaded first."""
        return _list(self._call, limit, filter="gguf", search=query or None)

    def conversions(self, base: str, limit: int) -> list[RepoInfo]:
        """Return repositories that say that they hold quantised GGUF files of a base model."""
        return _list(replace(self._call, repo=base), limit, filter=[f"base_model:quantized:{base}", "gguf"])

    def info(self, repo: str, revision: str) -> RepoInfo:
        """Return a repository with all its files and their sizes."""
        return _ask(replace(self._call, repo=repo, revision=revision), _look_up)

    def metadata(self, repo: str, name: str, commit: str) -> FileMetadata:
        """Return what a download needs to know of one file at one commit."""
        return _ask(replace(self._call, repo=repo, revision=commit, file=name), _look_up_file)


def sweep_shared(cache: Path, blob: Path) -> int:
    """Remove a blob of the store that repositories share, if none links to it; returns the bytes freed. Blocks.

    The library keeps the books of that store, and removes nothing where these are in doubt.
    """
    return _shared_blobs.sweep_shared_blob(blob, cache_dir=cache)


def _list(call: Call, limit: int, *, filter: str | list[str], search: str | None = None) -> list[RepoInfo]:  # noqa: A002 - the library's name
    def ask(api: HfApi, call: Call) -> list[RepoInfo]:
        found = api.list_models(
            search=search, filter=filter, sort="downloads", limit=limit, expand=_EXPAND, token=_token(call)
        )
        return [told for each in found if (told := _to_info(each)) is not None]

    return _ask(call, ask)


def _look_up(api: HfApi, call: Call) -> RepoInfo:
    found = api.model_info(
        call.repo,
        revision=call.revision,
        files_metadata=True,
        token=_token(call),
        timeout=_READ_TIMEOUT_S,
    )
    told = _to_info(found)
    if told is None or not is_commit(told.commit):
        raise failures.odd_answer("it names no commit")
    return told


def _look_up_file(_: HfApi, call: Call) -> FileMetadata:
    url = f"{call.endpoint}/{call.repo}/resolve/{quote(call.revision, safe='')}/{quote(call.file)}"
    told = get_hf_file_metadata(url, token=_token(call), timeout=_READ_TIMEOUT_S, endpoint=call.endpoint)
    if told.etag is None or not is_etag(told.etag) or told.size is None or told.size < 0:
        raise failures.odd_answer(f"it names no size or hash of {call.file}")
    if told.commit_hash is None or not is_commit(told.commit_hash):
        raise failures.odd_answer("it names no commit")
    return FileMetadata(commit=told.commit_hash, etag=told.etag, size_bytes=told.size, location=told.location)


def _token(call: Call) -> str | bool:
    """Return the token as the library takes it: with None it would look for one of its own."""
    return call.token or False


def _ask(call: Call, ask: Callable[[HfApi, Call], _T]) -> _T:
    mark = _call.set(call)
    try:
        with _translated(call):
            return ask(HfApi(endpoint=call.endpoint), call)
    finally:
        _call.reset(mark)


@contextmanager
def _translated(call: Call) -> Iterator[None]:
    try:
        yield
    except PunaError:
        raise
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _translate(error, call) from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # What the library does with an answer of another form.
        raise failures.odd_answer(type(error).__name__) from error


def _translate(error: Exception, call: Call) -> PunaError:
    has_token = call.token is not None
    match error:
        case HfHubHTTPError(response=response) if not call.repo:
            return _of_search(response.status_code, call)
        case GatedRepoError():
            return failures.gated(call.repo, call.endpoint, has_token=has_token)
        case RepositoryNotFoundError():
            return failures.unknown_repo(call.repo, has_token=has_token)
        case RevisionNotFoundError():
            return failures.unknown_revision(call.repo, call.revision)
        case EntryNotFoundError():
            return failures.unknown_file(call.repo, call.file)
        case DisabledRepoError():
            return failures.disabled(call.repo)
        case HfHubHTTPError(response=response):
            return _of_status(response.status_code, call)
        case OfflineModeIsEnabled():
            return failures.offline("the variable HF_HUB_OFFLINE is set")
        case httpx2.TransportError():
            return failures.unreachable(_reason(error))
        case _:
            return failures.odd_answer(type(error).__name__)


def _of_search(status: int, call: Call) -> PunaError:
    """Return the error for a question about no repository in particular."""
    if status == 401 and call.token is not None:
        return failures.bad_token()
    return failures.odd_answer(f"status {status}")


def _of_status(status: int, call: Call) -> PunaError:
    if status == 401 and call.token is not None:
        return failures.bad_token()
    if status in {401, 404}:
        return failures.unknown_repo(call.repo, has_token=call.token is not None)
    if status == 403:
        return failures.gated(call.repo, call.endpoint, has_token=call.token is not None)
    return failures.odd_answer(f"status {status}")


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    return "no connection" if isinstance(error, httpx2.ConnectError) else "the connection was lost"


class _Session(httpx2.Client):
    """Where the library sends its requests: never too long, never too much, the token to the Hub only."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        call = _call.get()
        left_s = call.deadline_s - time.monotonic()
        if left_s <= 0:
            raise failures.unreachable("no answer in time")
        if origin_of(str(request.url)) != origin_of(call.endpoint):
            request.headers.pop("Authorization", None)
        request.headers["Accept-Encoding"] = "identity"
        timeout = httpx2.Timeout(min(_READ_TIMEOUT_S, left_s), connect=min(_CONNECT_TIMEOUT_S, left_s))
        request.extensions["timeout"] = timeout.as_dict()
        try:
            response = super().send(request, **{**options, "stream": True})
            response.stream = _Bounded(response, call.deadline_s)
            response.read()
        except httpx2.TransportError as error:
            raise failures.unreachable(_reason(error)) from error
        _check_busy(response, call)
        return response


def _check_busy(response: httpx2.Response, call: Call) -> None:
    """Raise what the library would try again for."""
    if response.status_code == 429:
        raise failures.busy(failures.wait_of(response.headers), has_token=call.token is not None)
    if response.status_code == 408 or response.status_code >= 500:
        raise failures.unreachable(f"it answers with status {response.status_code}")


class _Bounded(httpx2.SyncByteStream):
    """The bytes of an answer until they are too many, or too late."""

    def __init__(self, response: httpx2.Response, deadline_s: float) -> None:
        stream = response.stream
        assert isinstance(stream, httpx2.SyncByteStream)
        self._stream = stream
        self._deadline_s = deadline_s
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise failures.odd_answer("it is compressed")

    def __iter__(self) -> Iterator[bytes]:
        size_bytes = 0
        for chunk in self._stream:
            size_bytes += len(chunk)
            if size_bytes > MAX_ANSWER_BYTES:
                raise failures.odd_answer("it is too long")
            if time.monotonic() > self._deadline_s:
                raise failures.unreachable("no answer in time")
            yield chunk

    def close(self) -> None:
        self._stream.close()


set_client_factory(lambda: _Session(follow_redirects=True))


def _to_info(found: ModelInfo) -> RepoInfo | None:
    """Return what Puna wants to know; None for a repository without an organisation, or of an odd name."""
    if not is_repo_id(found.id):
        return None
    facts = found.gguf or {}
    return RepoInfo(
        id=found.id,
        commit=found.sha or "",
        files=tuple(_to_files(found)),
        downloads=_number(found.downloads),
        likes=_number(found.likes),
        is_gated=bool(found.gated),
        is_private=bool(found.private),
        licence=_licence_of(found),
        architecture=str(facts.get("architecture") or ""),
        parameter_count=_number(facts.get("total")),
        context_length=_number(facts.get("context_length")),
        updated=found.last_modified.date().isoformat() if found.last_modified else "",
    )


def _to_files(found: ModelInfo) -> Iterator[RepoFile]:
    """Yield the files with a name that can be one here; others are not downloaded in any case."""
    for sibling in (found.siblings or ())[:_MAX_FILES]:
        if is_file_name(sibling.rfilename):
            large = sibling.lfs
            yield RepoFile(
                name=sibling.rfilename,
                size_bytes=_size(large.size if large else sibling.size),
                etag=_etag(large.sha256 if large else sibling.blob_id),
            )


def _licence_of(found: ModelInfo) -> str:
    prefix = "license:"
    told = next((tag for tag in found.tags or () if tag.startswith(prefix)), prefix)
    return told.removeprefix(prefix)[:100]


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _etag(value: object) -> str | None:
    return value if isinstance(value, str) and is_etag(value) else None


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
