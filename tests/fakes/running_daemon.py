"""The real application on a real socket, over a scripted model."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from msgspec.structs import replace

from fakes.boundless_memory import BoundlessMemory
from fakes.scripted_model import ListedCatalogue, ScriptedLauncher, ScriptedWorker
from puna.api.instructions import Instructions
from puna.app import build_app, make_runner
from puna.config import Settings
from puna.conversations.archive import Archive
from puna.domain.hardware import Backend, LlamaBuild
from puna.domain.models import Device
from puna.downloads.desk import HubDesk
from puna.engine.probe import LlamaProbe
from puna.finetune.adapters import AdapterShelf
from puna.finetune.desk import FinetuneDesk
from puna.hub.offers import Room
from puna.jobs.service import JobService
from puna.keys.identity import Scope
from puna.keys.records import KeyWish
from puna.keys.ring import KeyRing
from puna.limits.limiter import Limiter
from puna.limits.rates import parse_rates
from puna.models.names import parse_aliases
from puna.models.nicknames import Nicknames
from puna.paths import Paths
from puna.residency.coordinator import Coordinator
from puna.services import Services
from puna.state import StateFile
from puna.store.database import Database
from puna.webhooks.address import AddressRules
from puna.webhooks.service import WebhookService

ADMIN_TOKEN = "admin-token-of-this-test"


CPU_BUILD = LlamaBuild(
    binding="0.3.0",
    version="0.5.0",
    commit="abcdef0",
    backends=(Backend("CPU", ("AVX", "AVX2", "OPENMP")),),
    devices=(Device("CPU", "A processor", "cpu", memory_total_bytes=16 << 30, memory_free_bytes=8 << 30),),
)

MODELS = ("demo", "other", "org/model", "thinker", "embedder", "reranker")
"""What the catalogue knows; `thinker` reasons and calls tools, `embedder` and `reranker` are what they are called."""


@dataclass
class RunningDaemon:
    """What a test can reach of it."""

    port: int
    services: Services
    launcher: ScriptedLauncher
    app: web.Application
    stops: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def worker(self) -> ScriptedWorker:
        return self.launcher.worker

    async def make_key(self, *scopes: Scope, organisation: str | None = None) -> str:
        """Return the secret of a new key; without scopes it may infer."""
        wish = KeyWish(name="test", organisation=organisation, scopes=scopes or (Scope.INFER,))
        return (await self.services.keys.create(wish)).secret

    def client(self, **headers: str) -> aiohttp.ClientSession:
        """Return a client; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return aiohttp.ClientSession(self.url, headers=named)


async def see_no_gpu() -> LlamaBuild:
    """Return what a look at a llama.cpp for the CPU finds, without one."""
    return CPU_BUILD


@asynccontextmanager
async def run_daemon(
    folder: Path,
    *,
    settings: Settings | None = None,
    model: str | None = "demo",
    tamper: Callable[[web.Application], object] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[RunningDaemon]:
    """Run the application on a free port of 127.0.0.1, changed by `tamper` before it starts.

    Without settings of its own there are no rate limits; `clock` is theirs. The Hub is offline where they name none.
    """
    paths = Paths.under(folder)
    settings = settings or Settings(rate_limits="off")
    state_file = StateFile(paths.state_file)
    state = await asyncio.to_thread(state_file.read)
    nicknames = Nicknames(state_file, state.nicknames, parse_aliases(settings.model_aliases))
    launcher, catalogue, stops = (
        ScriptedLauncher(),
        ListedCatalogue(*MODELS, nicknames=nicknames),
        list[str](),
    )
    residency = Coordinator(
        catalogue, launcher, BoundlessMemory(), default_model=model, max_loaded_models=2, queue_limit=256
    )
    database = await asyncio.to_thread(Database.open, paths.database_file)
    hub = HubDesk.open(
        settings if settings.hub_endpoint else replace(settings, offline=True, hub_cache=folder / "hub"),
        database,
        paths.secrets_file,
        find_reference=catalogue.reference_of,
        measure_room=lambda: Room(8 << 30, 16 << 30),
    )
    keys = KeyRing.read(database, time.time)
    adapters = AdapterShelf(paths.adapter_dir)
    await adapters.open()
    webhooks = WebhookService.of_database(database, AddressRules())
    desk = await FinetuneDesk.open(
        settings,
        paths,
        database,
        bases=catalogue,
        adapters=adapters,
        publisher=webhooks,
        default_organisation=keys.default_organisation.id,
    )
    services = Services(
        settings=settings,
        paths=paths,
        catalogue=catalogue,
        nicknames=nicknames,
        residency=residency,
        database=database,
        keys=keys,
        limits=Limiter(parse_rates(settings.rate_limits), clock),
        jobs=JobService.of_settings(settings, database, residency),
        conversations=Archive.of_settings(settings, database),
        hub=hub,
        datasets=desk.datasets,
        adapters=desk.adapters,
        finetunes=desk.service,
        webhooks=webhooks,
        instructions=Instructions(state_file, state.instructions),
        admin_token=ADMIN_TOKEN,
        instance="instance-of-this-test",
        request_stop=lambda: stops.append("stop"),
        llama=LlamaProbe(see_no_gpu),
    )
    async with AsyncExitStack() as stack:
        stack.callback(database.close)
        app = build_app(services)
        tamper(app)
        runner = make_runner(app, shutdown_timeout_s=1)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        stack.push_async_callback(residency.close)
        stack.push_async_callback(services.jobs.close)
        stack.push_async_callback(hub.close)
        stack.push_async_callback(webhooks.close)
        stack.push_async_callback(desk.service.close)
        await services.jobs.start()
        await hub.downloads.start()
        await webhooks.start()
        await desk.service.start()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield RunningDaemon(runner.addresses[0][1], services, launcher, app, stops)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something holds, a minute at most: the machine may be busy."""
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.001)
