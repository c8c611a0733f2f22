"""Start and stop of the daemon, each in the order in which it is written here.

Start: refuse an unsafe address, take the lock, open the log, bind the sockets, build the services, listen, write
the endpoint file, catch signals, tell who started us, load the default model in the background.

Stop: listen no longer and take no new work, let open requests finish (`drain_timeout_s`), end the workers, which
gives open streams an error event, close connections, remove the endpoint file, close the log, give back the lock.
Every step is bounded in time; a second signal skips the wait.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import psutil
from aiohttp import web

import puna
from puna import listening
from puna.api.guard import check_bind
from puna.api.instructions import Instructions
from puna.app import build_app, make_runner
from puna.config import Settings
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.errors import PunaError
from puna.instance import Endpoint, InstanceLock, remove_endpoint, write_endpoint
from puna.logs import logging_to
from puna.models.catalogue import LocalCatalogue
from puna.paths import Paths
from puna.residency.coordinator import Coordinator
from puna.services import Services
from puna.state import StateFile

_log = logging.getLogger(__name__)

_CLEANUP_TIMEOUT_S = 2.0
_POLL_S = 0.05


def run_daemon(
    settings: Settings, paths: Paths, *, on_ready: Callable[[Endpoint], None], console: bool = True
) -> int:
    """Run until a signal or the control API says stop; returns 0.

    `on_ready` is called once the daemon answers. `console` writes the log to standard error too. Raises
    `DaemonError` and its kin when the daemon cannot start.
    """
    check_bind(settings.host)
    with (
        InstanceLock(paths),
        logging_to(
            paths.daemon_log,
            level=settings.log_level,
            file_bytes=settings.log_file_bytes,
            file_count=settings.log_file_count,
            console=console,
        ),
    ):
        sockets = listening.bind(settings.host, settings.port)
        _run_loop(Daemon(settings, paths).run(sockets, on_ready))
    return 0


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        import winloop

        winloop.run(main)
    else:
        import uvloop

        uvloop.run(main)


class Daemon:
    """One run of the daemon on an event loop."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self._settings = settings
        self._paths = paths
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, sockets: list[socket.socket], on_ready: Callable[[Endpoint], None]) -> None:
        """Serve on these bound sockets until `request_stop`."""
        services = await self._build_services()
        runner = make_runner(build_app(services), shutdown_timeout_s=_CLEANUP_TIMEOUT_S)
        await runner.setup()
        try:
            for bound in sockets:
                await web.SockSite(runner, bound).start()
            endpoint = self._endpoint(services, sockets)
            await asyncio.to_thread(write_endpoint, self._paths, endpoint)
            self._catch_signals()
            on_ready(endpoint)
            preload = asyncio.create_task(self._preload(services), name="preload")
            await self._stop.wait()
            preload.cancel()
            await self._drain(runner, services)
        finally:
            await services.residency.close()
            await runner.cleanup()
            await asyncio.to_thread(remove_endpoint, self._paths)
        _log.info("stopped")

    def request_stop(self) -> None:
        """Begin to stop; the second time, stop without waiting for open requests."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _build_services(self) -> Services:
        settings, paths = self._settings, self._paths
        state_file = StateFile(paths.state_file)
        state = await asyncio.to_thread(state_file.read)
        catalogue = LocalCatalogue(paths.demo_model, settings.model_folders)
        residency = Coordinator(
            catalogue,
            WorkerLauncher(self._worker_options()),
            default_model=settings.model,
            max_loaded_models=settings.max_loaded_models,
            queue_limit=settings.queue_limit,
        )
        return Services(
            settings=settings,
            paths=paths,
            catalogue=catalogue,
            residency=residency,
            instructions=Instructions(state_file, state.instructions),
            admin_token=secrets.token_urlsafe(32),
            instance=secrets.token_hex(8),
            request_stop=self.request_stop,
        )

    def _worker_options(self) -> WorkerOptions:
        settings = self._settings
        return WorkerOptions(
            log_dir=self._paths.worker_log_dir,
            context_length=settings.context_length,
            slots=settings.slots,
            threads=settings.threads,
            gpu_layers=settings.gpu_layers,
            load_timeout_s=settings.load_timeout_s,
            generation_timeout_s=settings.generation_timeout_s,
        )

    def _endpoint(self, services: Services, sockets: list[socket.socket]) -> Endpoint:
        return Endpoint(
            pid=os.getpid(),
            create_time=psutil.Process().create_time(),
            host=self._settings.host,
            port=sockets[0].getsockname()[1],
            token=services.admin_token,
            instance=services.instance,
            version=puna.__version__,
        )

    def _catch_signals(self) -> None:
        if sys.platform == "win32":
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGBREAK):
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self.request_stop))
        else:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self.request_stop)

    async def _preload(self, services: Services) -> None:
        if not self._settings.load_on_start:
            return
        try:
            await services.residency.load(self._settings.model)
        except PunaError as error:
            _log.warning("the default model is not loaded: %s", error.message)

    async def _drain(self, runner: web.AppRunner, services: Services) -> None:
        """Let open requests finish."""
        _log.info("stopping; %d requests are open", services.activity.open_requests)
        for site in list(runner.sites):
            await site.stop()
        services.residency.refuse_new_work()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_timeout_s):
                while services.activity.open_requests and not self._hurry.is_set():
                    await asyncio.sleep(_POLL_S)
