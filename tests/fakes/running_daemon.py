"""The real application on a real socket, over a scripted model."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from fakes.scripted_model import ListedCatalogue, ScriptedLauncher, ScriptedWorker
from puna.api.instructions import Instructions
from puna.app import build_app, make_runner
from puna.config import Settings
from puna.paths import Paths
from puna.residency.coordinator import Coordinator
from puna.services import Services
from puna.state import StateFile

ADMIN_TOKEN = "admin-token-of-this-test"


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

    def client(self, **headers: str) -> aiohttp.ClientSession:
        """Return a client; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return aiohttp.ClientSession(self.url, headers=named)


@asynccontextmanager
async def run_daemon(
    folder: Path,
    *,
    settings: Settings | None = None,
    model: str | None = "demo",
    tamper: Callable[[web.Application], object] = lambda _: None,
) -> AsyncIterator[RunningDaemon]:
    """Run the application on a free port of 127.0.0.1, changed by `tamper` before it starts."""
    launcher, catalogue, stops = ScriptedLauncher(), ListedCatalogue("demo", "other", "org/model"), []
    residency = Coordinator(catalogue, launcher, default_model=model, max_loaded_models=2, queue_limit=256)
    paths = Paths.under(folder)
    services = Services(
        settings=settings or Settings(),
        paths=paths,
        catalogue=catalogue,
        residency=residency,
        instructions=Instructions(StateFile(paths.state_file), {}),
        admin_token=ADMIN_TOKEN,
        instance="instance-of-this-test",
        request_stop=lambda: stops.append("stop"),
    )
    app = build_app(services)
    tamper(app)
    runner = make_runner(app, shutdown_timeout_s=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield RunningDaemon(runner.addresses[0][1], services, launcher, app, stops)
    finally:
        await residency.close()
        await runner.cleanup()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something holds, five seconds at most."""
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.001)
