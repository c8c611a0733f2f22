"""What Puna has of the Hub, put together over a fake Hub and a cache in a temporary folder."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fakes.fake_hub import COMMIT, FakeHub, run_fake_hub
from puna.hub.client import HubClient
from puna.hub.http import HubHttp
from puna.hub.partial import PartFile
from puna.hub.placing import free_bytes
from puna.hub.ports import Wanted
from puna.hub.reachability import Reachability
from puna.hub.token import TokenSource
from puna.hub.transfer import PartMaker, Transfer, TransferOptions

REPO = "acme/llama-GGUF"
FILE = "llama-Q4_K_M.gguf"
CONTENT = random.Random(1).randbytes(3_000_000)


def wanted_file(repo: str = REPO, name: str = FILE) -> Wanted:
    return Wanted(repo=repo, commit=COMMIT, name=name)


@dataclass
class Watcher:
    """Notes what a transfer tells."""

    have_bytes: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    on_arrival: Callable[[int], object] = lambda _: None

    def arrived(self, have_bytes: int, size_bytes: int) -> None:
        self.have_bytes.append(have_bytes)
        self.on_arrival(have_bytes)

    def told(self, note: str) -> None:
        if note:
            self.notes.append(note)


@dataclass
class HubUser:
    """Somebody with a cache, and perhaps a token."""

    hub: FakeHub
    cache: Path
    environ: dict[str, str]
    client: HubClient
    http: HubHttp
    reachability: Reachability
    pauses: list[float] = field(default_factory=list)
    free: Callable[[Path], int] = free_bytes
    make_part: PartMaker = PartFile

    def transfer(self, *, max_tries: int = 4, reserve_bytes: int = 0) -> Transfer:
        return Transfer(
            self.client,
            self.http,
            self.cache,
            TransferOptions(reserve_bytes=reserve_bytes, max_tries=max_tries),
            sleep=self._sleep,
            make_part=self.make_part,
            measure_free=self.free,
        )

    async def _sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)


@asynccontextmanager
async def hub_user(
    folder: Path,
    *,
    stall_s: float = 60.0,
    time_limit_s: float = 60.0,
    endpoint: str | None = None,
    is_offline: bool = False,
) -> AsyncIterator[HubUser]:
    """Run a Hub with one repository, and put together what asks it. Each failure of it is a moment ago."""
    async with run_fake_hub() as hub:
        hub.add(REPO, {"README.md": b"# A llama\n", FILE: CONTENT}, downloads=10)
        environ: dict[str, str] = {}
        tokens = TokenSource(folder / "token", folder / "secrets.json", environ)
        reachability = Reachability(is_offline=is_offline, clock=lambda: 0.0)
        client = HubClient(endpoint or hub.url, tokens, reachability, time_limit_s=time_limit_s)
        http = HubHttp(client.endpoint, client.read_token, stall_s=stall_s)
        try:
            yield HubUser(hub, folder / "hub", environ, client, http, reachability)
        finally:
            await http.close()
