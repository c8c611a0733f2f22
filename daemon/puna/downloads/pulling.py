"""From a name to a download: what people write, the Hub's answer, and the order that follows."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from puna.domain.downloads import Download, DownloadOrder, DownloadState, FileProgress, OrderedFile
from puna.downloads.service import DownloadService
from puna.errors import ModelNotFoundError
from puna.hub.cache import CachedModel, find_cached
from puna.hub.client import HubClient
from puna.hub.failures import HubUnreachableError
from puna.hub.names import HubReference
from puna.hub.resolve import Choice

ON_DISK = "on-disk"
"""The id of what needs no download: it is no download that could be paused."""


class Puller:
    """Called from the event loop only."""

    def __init__(
        self,
        hub: HubClient,
        downloads: DownloadService,
        cache: Path,
        *,
        find_reference: Callable[[str], HubReference | None],
        memory_bytes: Callable[[], int],
    ) -> None:
        """`find_reference` returns what a name such as `llama3.2:1b` means on the Hub; None where nothing.

        `memory_bytes` is what a model may take on this machine; it decides where no quantisation is named.
        """
        self._hub = hub
        self._downloads = downloads
        self._cache = cache
        self._find_reference = find_reference
        self._memory_bytes = memory_bytes

    def reference_of(self, name: str) -> HubReference | None:
        """Return what a name means on the Hub; None where it means nothing there. Asks nobody."""
        return self._find_reference(name)

    async def pull(self, name: str) -> Download:
        """Begin to download what a name means, or take up the download that does already.

        Where the Hub cannot be reached and the cache has the model, that is told as a download that is done.
        Raises `ModelNotFoundError`, the errors of `puna.hub.failures`, and those of `DownloadService.submit`.
        """
        reference = self._require(name)
        try:
            choice = await self._choose(reference)
        except HubUnreachableError:
            cached = await asyncio.to_thread(find_cached, self._cache, reference)
            if cached is None:
                raise
            return await asyncio.to_thread(_as_download, cached)
        asked = "" if choice.repo == reference.repo else str(reference)
        return await self._downloads.submit(to_order(choice, asked=asked))

    async def _choose(self, reference: HubReference) -> Choice:
        return await self._hub.resolve(reference, memory_bytes=self._memory_bytes())

    def _require(self, name: str) -> HubReference:
        reference = self.reference_of(name)
        if reference is None:
            raise ModelNotFoundError(
                f"There is no model {name[:200]!r}. Names on the Hub look like org/name or org/name:Q4_K_M; "
                "`puna search` finds them."
            )
        return reference


def to_order(choice: Choice, *, asked: str = "") -> DownloadOrder:
    """Return what to bring for a choice; `asked` is the name that led to it from another repository."""
    return DownloadOrder(
        name=choice.name,
        repo=choice.repo,
        revision=choice.revision,
        commit=choice.commit,
        label=choice.label,
        asked=asked,
        files=tuple(
            OrderedFile(name=file.name, size_bytes=file.size_bytes, etag=file.etag) for file in choice.files
        ),
    )


def _as_download(model: CachedModel) -> Download:
    paths = (*model.files, *([model.projection] if model.projection else []))
    sizes = [path.stat().st_size for path in paths]
    now = int(time.time())
    return Download(
        id=ON_DISK,
        name=model.name,
        repo=model.reference.repo,
        revision=model.reference.revision,
        commit=model.commit,
        label=model.label,
        state=DownloadState.DONE,
        size_bytes=sum(sizes),
        done_bytes=sum(sizes),
        rate_bytes_s=None,
        time_left_s=None,
        files=tuple(
            FileProgress(name=path.name, size_bytes=size, done_bytes=size, is_done=True)
            for path, size in zip(paths, sizes, strict=True)
        ),
        error=None,
        created_at=now,
        ended_at=now,
        path=str(model.files[0]),
    )
