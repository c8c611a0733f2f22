"""What `/api/pull` tells of a download that somebody else stops, and lets go on."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from puna.api.context import Context
from puna.api.exchange import Exchange
from puna.api.head import RequestHead, make_headers
from puna.api.ollama import pulling
from puna.api.ollama.routes import DIALECT
from puna.domain.downloads import Download, DownloadState, FileProgress
from puna.errors import ModelLoadError
from puna.news import Listener

BEGUN = Download(
    id="dl_1",
    name="acme/llama-GGUF",
    repo="acme/llama-GGUF",
    revision="main",
    commit="c0ffee",
    label="Q4_K_M",
    state=DownloadState.RUNNING,
    size_bytes=100,
    done_bytes=0,
    rate_bytes_s=None,
    time_left_s=None,
    files=(),
    error=None,
    created_at=0,
    ended_at=None,
    path=None,
)


class ToldDownloads:
    """One download, which is as a test says."""

    def __init__(self) -> None:
        self.now = BEGUN
        self._listeners: list[Listener[Download]] = []

    def tell(self, state: DownloadState, done_bytes: int) -> None:
        file = FileProgress(name="a.gguf", size_bytes=100, done_bytes=done_bytes, is_done=done_bytes == 100)
        self.now = replace(BEGUN, state=state, done_bytes=done_bytes, files=(file,))
        for listener in self._listeners:
            listener.tell(BEGUN.id)

    @contextmanager
    def listen(self) -> Iterator[AsyncGenerator[Download]]:
        self._listeners.append(Listener(lambda _: self.now))
        self._listeners[-1].tell(BEGUN.id)
        yield self._listeners[-1].read()

    async def wait(self, download_id: str, timeout_s: float) -> Download:
        assert (download_id, timeout_s) == (BEGUN.id, 0)
        return self.now


@pytest.fixture
def downloads() -> ToldDownloads:
    return ToldDownloads()


@pytest.fixture
def exchange() -> Exchange:
    head = RequestHead(method="POST", path="/api/pull", headers=make_headers({}))
    return Exchange(head=head, dialect=DIALECT, route=None, body_limit_bytes=0, number=1)


def lines_of(downloads: ToldDownloads, exchange: Exchange) -> AsyncGenerator[bytes]:
    context = cast("Context", SimpleNamespace(hub=SimpleNamespace(downloads=downloads)))
    return pulling._tell(context, BEGUN, exchange)


async def read(lines: AsyncGenerator[bytes]) -> Any:
    """Return how much of the file has come, or the status where the line tells no file."""
    line = msgspec.json.decode(await anext(lines))
    return line.get("completed", line["status"])


async def test_a_pull_that_is_stopped_and_resumed_while_a_line_is_read_goes_on(
    downloads: ToldDownloads, exchange: Exchange
) -> None:
    async with aclosing(lines_of(downloads, exchange)) as lines:
        assert await read(lines) == "pulling manifest"
        told = []
        for state, done_bytes in (("running", 20), ("paused", 50), ("running", 60), ("done", 100)):
            downloads.tell(DownloadState(state), done_bytes)
            told.append(await read(lines))
        assert told == [20, 50, 60, 100]
        assert not exchange.is_complete
        assert [await read(lines) for _ in range(3)][-1] == "success"
    assert exchange.is_complete


async def test_a_pull_that_is_stopped_tells_why_it_ends(downloads: ToldDownloads, exchange: Exchange) -> None:
    async with aclosing(lines_of(downloads, exchange)) as lines:
        assert await read(lines) == "pulling manifest"
        downloads.tell(DownloadState.RUNNING, 20)
        assert await read(lines) == 20
        downloads.tell(DownloadState.PAUSED, 50)
        assert await read(lines) == 50
        with pytest.raises(ModelLoadError, match="was paused"):
            await read(lines)


async def test_a_pull_that_was_done_at_once_tells_of_its_files(
    downloads: ToldDownloads, exchange: Exchange
) -> None:
    async with aclosing(lines_of(downloads, exchange)) as lines:
        assert await read(lines) == "pulling manifest"
        downloads.tell(DownloadState.DONE, 100)
        assert [await read(lines) for _ in range(4)][::3] == [100, "success"]
