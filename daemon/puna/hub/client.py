"""The Hub for the event loop: searches and looks up, in threads that nobody waits for too long."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from puna.errors import InvalidRequestError, PunaError
from puna.hub import failures
from puna.hub.names import DEFAULT_REVISION, HubReference, check_file_name, check_repo_id, is_revision
from puna.hub.reachability import Reachability
from puna.hub.records import FileMetadata, RepoInfo
from puna.hub.resolve import Choice, choose, has_models, rank_conversions
from puna.hub.token import TokenSource

if TYPE_CHECKING:
    from puna.hub.library import Asker

_T = TypeVar("_T")

TIME_LIMIT_S = 10.0
"""How long a question to the Hub may take in all."""
_THREADS = 6
_GRACE_S = 0.5
_MAX_CONVERSIONS = 20
_MAX_QUERY_CHARACTERS = 200


class HubClient:
    """Called from the event loop only; the errors of all methods are those of `puna.hub.failures`."""

    def __init__(
        self,
        endpoint: str,
        tokens: TokenSource,
        reachability: Reachability,
        *,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        """`endpoint` is the Hub's address without a slash at its end."""
        self.endpoint = endpoint
        self._tokens = tokens
        self._reachability = reachability
        self._time_limit_s = time_limit_s
        self._threads = asyncio.Semaphore(_THREADS)

    async def search(self, query: str, limit: int) -> list[RepoInfo]:
        """Return repositories with GGUF files, the most downloaded first; their files have no sizes."""
        words = query.strip()[:_MAX_QUERY_CHARACTERS]
        return await self._ask(lambda asker: asker.search(words, limit))

    async def info(self, repo: str, revision: str) -> RepoInfo:
        """Return a repository at a revision with its files and their sizes."""
        check_repo_id(repo)
        _check_revision(revision)
        return await self._ask(lambda asker: asker.info(repo, revision))

    async def conversions(self, base: str) -> list[RepoInfo]:
        """Return the repositories with GGUF conversions of a base model, the one to take first."""
        check_repo_id(base)
        found = await self._ask(lambda asker: asker.conversions(base, _MAX_CONVERSIONS))
        return rank_conversions(base, found)

    async def metadata(self, repo: str, name: str, commit: str) -> FileMetadata:
        """Return what a download needs to know of a file; asks also where the Hub failed a moment ago."""
        check_repo_id(repo)
        check_file_name(name)
        _check_revision(commit)
        return await self._ask(lambda asker: asker.metadata(repo, name, commit), is_patient=True)

    async def resolve(self, wanted: HubReference, *, memory_bytes: int | None = None) -> Choice:
        """Return the files that a name means; a repository without GGUF files leads to a conversion of it.

        `memory_bytes` is what there is for a model: it decides where no quantisation is named. Raises
        `ModelNotFoundError` where there is nothing to run, or not what was named.
        """
        info, revision = await self._find_models(wanted)
        return choose(info, HubReference(info.id, wanted.tag, revision), memory_bytes=memory_bytes)

    async def info_with_models(self, wanted: HubReference) -> RepoInfo:
        """Return a repository, or its first GGUF conversion where it has no GGUF files and there is one."""
        return (await self._find_models(wanted))[0]

    async def _find_models(self, wanted: HubReference) -> tuple[RepoInfo, str]:
        """Return a repository and its revision, or those of its first conversion.

        The Hub may tell another id than the one that was asked for: of a repository that was renamed, or in its own
        capital letters.
        """
        info = await self.info(wanted.repo, wanted.revision)
        if has_models(info):
            return info, wanted.revision
        found = [each for each in await self.conversions(info.id) if has_models(each)]
        if not found:
            return info, wanted.revision
        return await self.info(found[0].id, DEFAULT_REVISION), DEFAULT_REVISION

    async def read_token(self) -> str | None:
        """Return the token as it is now; for the transfer, which sends it to the Hub only."""
        return await asyncio.to_thread(self._tokens.read)

    def check_allowed(self) -> None:
        """Raise `OfflineError` where a setting says that the Hub is not to be asked."""
        self._reachability.check(is_patient=True)

    async def _ask(self, question: Callable[["Asker"], _T], *, is_patient: bool = False) -> _T:
        """Ask in a thread; one that hangs is left alone, and its answer is not waited for."""
        async with self._threads:
            # Here, not before: what queued up behind a question that failed fails with it.
            self._reachability.check(is_patient=is_patient)
            # Not within the time: the first one loads the library, from a slow disk perhaps.
            asker = await asyncio.to_thread(self._make_asker)
            try:
                async with asyncio.timeout(self._time_limit_s + _GRACE_S):
                    answer = await _in_thread(lambda: question(asker))
            except TimeoutError:
                error = failures.unreachable("no answer in time")
                self._reachability.note(error)
                raise error from None
            except PunaError as failure:
                self._reachability.note(failure)
                raise
        self._reachability.note(None)
        return answer

    def _make_asker(self) -> "Asker":
        from puna.hub.library import Asker

        return Asker(self.endpoint, self._tokens.read(), time.monotonic() + self._time_limit_s)


def _check_revision(revision: str) -> None:
    if not is_revision(revision):
        raise InvalidRequestError(f"{revision[:200]!r} is not a valid version name.")


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Run something in a thread of its own, which does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(answer: _T | None, error: BaseException | None) -> None:
        if future.done():
            return  # nobody waits any more
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)  # type: ignore[arg-type]  # an answer, where there is no error

    def run() -> None:
        answer, failure = None, None
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - raised where the answer is awaited
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer, failure)

    threading.Thread(target=run, name="puna-hub", daemon=True).start()
    return await future
