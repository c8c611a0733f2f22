"""Bytes from connections into a file, over as many of them as it takes."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import aiohttp

from puna.errors import PunaError
from puna.hub import failures
from puna.hub.failures import HubBusyError, HubUnreachableError, OfflineError
from puna.hub.http import HubHttp, describe_loss
from puna.hub.partial import PartFile
from puna.hub.ports import ContentChangedError, MetadataSource, Wanted, Watch
from puna.hub.records import FileMetadata

_FLUSH_BYTES = 1024 * 1024
_FLUSH_S = 0.5
"""What a kill costs at most: the bytes since the last write."""
_MAX_PAUSE_S = 30.0
_MAX_BUSY_S = 300.0
_EXPIRED = frozenset({401, 403, 404, 410})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class LostError(Exception):
    """A connection ended, or did not come about; another one may do better. The text says why."""


class ExpiredError(LostError):
    """A signed address is no longer good; the Hub gives a new one."""


class Receiver:
    """Fills files; one for the daemon, called from its event loop."""

    def __init__(
        self,
        source: MetadataSource,
        http: HubHttp,
        *,
        max_tries: int,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        """`max_tries` connections in a row may fail without a byte."""
        self._source = source
        self._http = http
        self._max_tries = max_tries
        self._sleep = sleep
        self._clock = clock

    async def look_up(self, wanted: Wanted, watch: Watch) -> FileMetadata:
        """Return what to expect of a file, asking again where the Hub does not answer: the network may come back.

        Raises the errors of `puna.hub.failures`.
        """
        tries = 0
        while True:
            try:
                return await self._source.metadata(wanted.repo, wanted.name, wanted.commit)
            except OfflineError:
                raise
            except (HubBusyError, HubUnreachableError) as loss:
                tries += 1
                if tries > self._max_tries:
                    raise
                await self._pause(tries, loss, watch)

    async def fill(self, part: PartFile, metadata: FileMetadata, wanted: Wanted, watch: Watch) -> None:
        """Receive what is missing. Cancelling, and every failure but one, keeps what has arrived.

        Raises `DamagedDownloadError` for more or fewer bytes than promised, `ContentChangedError`, the errors of
        the disk, and `HubUnreachableError` when trying again has not helped.
        """
        tries = 0
        current: FileMetadata | None = metadata
        while part.size_bytes < metadata.size_bytes:
            before = part.size_bytes
            try:
                current = current or await self._ask_again(wanted, metadata)
                await self._receive(part, current, wanted, watch)
            except OfflineError:
                raise
            except (LostError, HubBusyError, HubUnreachableError) as loss:
                tries = 1 if part.size_bytes > before else tries + 1
                if tries > self._max_tries:
                    raise _given_up(wanted.name, loss) from loss
                await self._pause(tries, loss, watch)
            current = None

    async def _ask_again(self, wanted: Wanted, before: FileMetadata) -> FileMetadata:
        now = await self._source.metadata(wanted.repo, wanted.name, wanted.commit)
        if (now.etag, now.size_bytes) != (before.etag, before.size_bytes):
            raise ContentChangedError
        return now

    async def _pause(self, tries: int, loss: Exception, watch: Watch) -> None:
        if isinstance(loss, ExpiredError) and tries == 1:
            return
        pause_s = min(2.0 ** (tries - 1), _MAX_PAUSE_S)
        if isinstance(loss, PunaError) and loss.retry_after_s:
            pause_s = max(pause_s, min(loss.retry_after_s, _MAX_BUSY_S))
        watch.told(f"{_reason(loss)}; trying again")
        await self._sleep(pause_s)
        watch.told("")

    async def _receive(self, part: PartFile, metadata: FileMetadata, wanted: Wanted, watch: Watch) -> None:
        """Take what one connection gives. Raises `LostError` when it ends too early."""
        try:
            async with self._http.get(metadata.location, first_byte=part.size_bytes) as response:
                if not _is_continued(response, part.size_bytes, metadata.size_bytes, wanted.name):
                    await asyncio.to_thread(part.restart)
                    watch.arrived(0, metadata.size_bytes)
                if response.status == 416:
                    raise LostError("the Hub has no bytes from there on")
                await self._pump(response, part, metadata, wanted.name, watch)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LostError(describe_loss(error)) from error
        if part.size_bytes < metadata.size_bytes:
            raise LostError("the connection was lost")

    async def _pump(
        self,
        response: aiohttp.ClientResponse,
        part: PartFile,
        metadata: FileMetadata,
        name: str,
        watch: Watch,
    ) -> None:
        pending = bytearray()
        flushed_s = self._clock()
        try:
            async for chunk in response.content.iter_any():
                pending += chunk
                if part.size_bytes + len(pending) > metadata.size_bytes:
                    raise failures.damaged(name, f"more than the {metadata.size_bytes} bytes promised")
                if len(pending) >= _FLUSH_BYTES or self._clock() - flushed_s >= _FLUSH_S:
                    data, pending = bytes(pending), bytearray()
                    await asyncio.to_thread(part.write, data)
                    flushed_s = self._clock()
                    watch.arrived(part.size_bytes, metadata.size_bytes)
        finally:
            # Also when the transfer is cancelled: what has come need not come again.
            if pending:
                await asyncio.shield(asyncio.to_thread(part.write, bytes(pending)))
                watch.arrived(part.size_bytes, metadata.size_bytes)


def _is_continued(response: aiohttp.ClientResponse, have_bytes: int, size_bytes: int, name: str) -> bool:
    """Return whether the answer goes on where the file ends; False where the file must begin anew.

    Raises `LostError` for what another try may mend, and `DamagedDownloadError` for an answer of another size.
    """
    status = response.status
    if status in _EXPIRED:
        raise ExpiredError("the address has expired")
    if status == 429:
        raise failures.busy(failures.wait_of(response.headers), has_token=True)
    if status == 408 or status >= 500:
        raise LostError(f"the Hub answers with status {status}")
    if status == 416:
        return False
    if status not in {200, 206} or response.headers.get("Content-Encoding", "identity") != "identity":
        raise failures.odd_answer(f"status {status}")
    begin = _begin_of(response, size_bytes, name)
    if begin not in {0, have_bytes}:
        raise failures.odd_answer("it sends other bytes than those asked for")
    promised = response.content_length
    if begin != have_bytes and promised != size_bytes:
        # Such as the page of a network that wants a login: no reason to forget what has arrived.
        raise failures.odd_answer("it sends neither the rest nor the whole file")
    if promised is not None and begin + promised != size_bytes:
        raise failures.damaged(name, f"{begin + promised} bytes are sent, {size_bytes} were promised")
    return begin == have_bytes


def _begin_of(response: aiohttp.ClientResponse, size_bytes: int, name: str) -> int:
    """Return the number of the first byte; a server that knows no ranges begins at 0."""
    if response.status == 200:
        return 0
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None:
        raise failures.odd_answer("it does not say which bytes it sends")
    if match[3] not in {"*", str(size_bytes)}:
        raise failures.damaged(name, f"it has {match[3]} bytes, {size_bytes} were promised")
    return int(match[1])


def _reason(loss: Exception) -> str:
    return loss.message.rstrip(".") if isinstance(loss, PunaError) else str(loss)


def _given_up(name: str, loss: Exception) -> PunaError:
    if isinstance(loss, HubBusyError):
        return loss
    return HubUnreachableError(
        f"Cannot reach the Hub: the download of {name} stopped ({_reason(loss)}). What came so far is kept; "
        "resume it when the network is back.",
        retry_after_s=10.0,
    )
