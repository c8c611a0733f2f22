"""Start and stop of the daemon, each in the order in which it is written here.

Start: take the lock, open the log, open the database, refuse an address beyond this machine while no key
exists, bind the sockets, build the services, take up the jobs that are left, forget stored answers that are too
old, take up downloads, deliveries to webhooks and fine-tunings, listen, write the endpoint file, catch signals,
make the first key if somebody watches, tell who started us, load the default model in the background.

Stop: listen no longer and take no new work, tell those who wait for a fine-tuning that it goes on later, stop
downloads, which the next start takes up, let open requests finish (`drain_timeout_s`), stop training, with a
checkpoint from which the next start goes on, abort the tasks of jobs, which the next start runs again, and write the
results of those that ended, end the workers, which gives open streams an error event, close connections, write the
last counts, remove the endpoint file, close the database, close the log, give back the lock.
Every step is bounded in time; a second signal skips the wait.
"""

import asyncio
import contextlib
import gc
import logging
import math
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

import puna
from puna import launch, listening
from puna.api.guard import check_bind
from puna.api.instructions import Instructions
from puna.app import build_app, make_runner
from puna.bookkeeping import Bookkeeper
from puna.config import Settings
from puna.conversations.archive import Archive
from puna.domain.downloads import DownloadOrder
from puna.downloads.desk import HubDesk, places_of
from puna.downloads.room import measure_room
from puna.engine.dispatch import EngineLauncher
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.engine.probe import LlamaProbe, probe
from puna.engine.upstream.entry import to_entry
from puna.engine.upstream.key import KeySource
from puna.engine.upstream.launcher import UpstreamLauncher
from puna.errors import PunaError
from puna.finetune.adapters import AdapterShelf
from puna.finetune.desk import FinetuneDesk
from puna.hub.names import HubReference
from puna.instance import Endpoint, InstanceLock, remove_endpoint, write_endpoint
from puna.jobs.service import JobService
from puna.keys.records import NewKey
from puna.keys.ring import KeyRing
from puna.limits.limiter import Limiter
from puna.limits.rates import parse_rates
from puna.logs import logging_to
from puna.models.added import AddedFiles
from puna.models.assembly import open_catalogue
from puna.models.catalogue import LocalCatalogue
from puna.models.fingerprints import Fingerprints
from puna.models.names import parse_aliases
from puna.models.nicknames import Nicknames
from puna.paths import Paths
from puna.residency.coordinator import Coordinator
from puna.residency.estimate import Wish
from puna.residency.machine import MachineMemory
from puna.services import Services
from puna.state import StateFile
from puna.store.database import Database
from puna.store.usage_counts import read_counts
from puna.webhooks.address import AddressRules
from puna.webhooks.service import WebhookService

_log = logging.getLogger(__name__)

_CLEANUP_TIMEOUT_S = 2.0
_POLL_S = 0.05


OnReady = Callable[[Endpoint, NewKey | None], None]
"""Gets the address, and the first key where this start made it: nobody will see its secret again."""


def run_daemon(settings: Settings, paths: Paths, *, on_ready: OnReady, console: bool = True) -> int:
    """Run until a signal or the control API says stop; returns 0.

    `on_ready` is called once the daemon answers. `console` says that somebody watches: the log is written to
    standard error too, and the first start makes a key. Raises `DaemonError` and its kin when the daemon
    cannot start.
    """
    with (
        InstanceLock(paths),
        logging_to(
            paths.daemon_log,
            level=settings.log_level,
            file_bytes=settings.log_file_bytes,
            file_count=settings.log_file_count,
            console=console,
        ),
        Database.open(paths.database_file) as database,
    ):
        keys = KeyRing.read(database, time.time)
        check_bind(settings.host, has_keys=bool(keys.keys))
        sockets = listening.bind(settings.host, settings.port)
        daemon = Daemon(settings, paths, database, keys, makes_first_key=console)
        _run_loop(daemon.run(sockets, on_ready))
    return 0


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        import winloop

        winloop.run(main)
    else:
        import uvloop

        uvloop.run(main)


def _absolute(model: str) -> str:
    """Return a relative path to a file as an absolute one: the catalogue takes no others, and ids stay as they are."""
    path = Path(model).expanduser()
    return str(path.absolute()) if path.suffix == ".gguf" and path.is_file() else model


class Daemon:
    """One run of the daemon on an event loop."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        database: Database,
        keys: KeyRing,
        *,
        makes_first_key: bool = False,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._database = database
        self._keys = keys
        self._makes_first_key = makes_first_key
        self._instance = secrets.token_hex(8)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, sockets: list[socket.socket], on_ready: OnReady) -> None:
        """Serve on these bound sockets until `request_stop`."""
        services = await self._build_services()
        bookkeeper = Bookkeeper(self._database, self._keys, services.limits, time.time)
        bookkeeper.start()
        runner = make_runner(build_app(services), shutdown_timeout_s=_CLEANUP_TIMEOUT_S)
        await runner.setup()
        try:
            await services.jobs.start()
            await services.conversations.remove_expired()
            await services.hub.downloads.start()
            await services.webhooks.start()
            await services.finetunes.start()
            for bound in sockets:
                await web.SockSite(runner, bound).start()
            endpoint = self._endpoint(services, sockets)
            await asyncio.to_thread(write_endpoint, self._paths, endpoint)
            self._catch_signals()
            _log.info("Puna %s listens on %s, port %d", puna.__version__, endpoint.host, endpoint.port)
            on_ready(endpoint, await self._keys.create_first() if self._makes_first_key else None)
            preload = asyncio.create_task(self._preload(services), name="preload")
            # What start-up made stays; walking it again would hold the loop for over 10 ms each time.
            gc.freeze()
            await self._stop.wait()
            preload.cancel()
            await self._drain(runner, services)
        finally:
            await self._close(services, runner, bookkeeper)
        _log.info("stopped")

    def request_stop(self) -> None:
        """Begin to stop; the second time, stop without waiting for open requests."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _close(self, services: Services, runner: web.AppRunner, bookkeeper: Bookkeeper) -> None:
        """Close all, in this order; one that fails is a line in the log and keeps no other from its end."""
        for close in (
            services.finetunes.close,
            services.webhooks.close,
            services.hub.close,
            services.jobs.close,
            services.residency.close,
            services.llama.close,
            runner.cleanup,
            bookkeeper.close,
            partial(asyncio.to_thread, remove_endpoint, self._paths),
        ):
            try:
                await close()
            except Exception:  # noqa: BLE001 - a border: what follows must end too
                _log.exception("something did not close well; the daemon stops without it")

    async def _build_services(self) -> Services:
        settings, paths = self._settings, self._paths
        state_file = StateFile(paths.state_file)
        state = await asyncio.to_thread(state_file.read)
        nicknames = Nicknames(state_file, state.nicknames, parse_aliases(settings.model_aliases))
        added = AddedFiles(state_file, state.added_files)
        adapters, fingerprints = AdapterShelf(paths.adapter_dir), Fingerprints()
        await adapters.open()
        catalogue = await asyncio.to_thread(
            open_catalogue,
            settings,
            paths,
            nicknames,
            added,
            hub_cache=places_of(settings).cache,
            fixed=[to_entry(remote) for remote in settings.remote_models],
            adapters=adapters,
            fingerprints=fingerprints,
        )
        llama = self._open_probe()
        residency = self._open_residency(catalogue, llama)
        rules = AddressRules(allow_loopback=settings.webhook_loopback, allow_private=settings.webhook_private)
        webhooks = WebhookService.of_database(self._database, rules)
        desk = await self._open_finetunes(catalogue, adapters, webhooks, fingerprints)
        return Services(
            settings=settings,
            paths=paths,
            catalogue=catalogue,
            nicknames=nicknames,
            residency=residency,
            database=self._database,
            keys=self._keys,
            limits=await self._restore_limits(),
            jobs=JobService.of_settings(settings, self._database, residency),
            conversations=Archive.of_settings(settings, self._database),
            hub=self._open_hub(catalogue, nicknames, llama),
            datasets=desk.datasets,
            adapters=desk.adapters,
            finetunes=desk.service,
            webhooks=webhooks,
            instructions=Instructions(state_file, state.instructions),
            admin_token=secrets.token_urlsafe(32),
            instance=self._instance,
            request_stop=self.request_stop,
            llama=llama,
        )

    async def _open_finetunes(
        self,
        catalogue: LocalCatalogue,
        adapters: AdapterShelf,
        webhooks: WebhookService,
        fingerprints: Fingerprints,
    ) -> FinetuneDesk:
        return await FinetuneDesk.open(
            self._settings,
            self._paths,
            self._database,
            bases=catalogue,
            adapters=adapters,
            publisher=webhooks,
            default_organisation=self._keys.default_organisation.id,
            hidden=self._settings.key_variables,
            fingerprints=fingerprints,
        )

    def _open_probe(self) -> LlamaProbe:
        look = partial(
            probe,
            command=launch.child_command("probe", *self._settings.rpc_servers),
            environment=launch.child_environment(hidden=self._settings.key_variables),
        )
        return LlamaProbe(look)

    def _open_residency(self, catalogue: LocalCatalogue, llama: LlamaProbe) -> Coordinator:
        settings, workers = self._settings, WorkerLauncher(self._worker_options())
        engines = UpstreamLauncher(KeySource(self._paths.secrets_file), instance=self._instance)
        return Coordinator(
            catalogue,
            EngineLauncher(workers, engines),
            MachineMemory(llama, self._wish(), workers.worker_pids),
            default_model=_absolute(settings.model),
            max_loaded_models=settings.max_loaded_models,
            idle_timeout_s=settings.idle_timeout_s or math.inf,
            queue_limit=settings.queue_limit,
        )

    def _open_hub(self, catalogue: LocalCatalogue, nicknames: Nicknames, llama: LlamaProbe) -> HubDesk:
        def find_reference(name: str) -> HubReference | None:
            wanted = catalogue.wanted(name)
            return wanted.download if wanted else None

        async def remember_name(order: DownloadOrder) -> None:
            """Let the name of the original weights lead to the conversion that was downloaded for it."""
            if order.asked and order.asked not in nicknames:
                await nicknames.give(order.asked, await catalogue.find(order.name))

        return HubDesk.open(
            self._settings,
            self._database,
            self._paths.secrets_file,
            find_reference=find_reference,
            measure_room=lambda: measure_room(llama.known.gpus if llama.known else ()),
            on_done=remember_name,
        )

    async def _restore_limits(self) -> Limiter:
        limits = Limiter(parse_rates(self._settings.rate_limits), time.time)
        limits.restore(await self._database.run(read_counts))
        return limits

    def _wish(self) -> Wish:
        settings = self._settings
        return Wish(
            context_length=settings.context_length, slots=settings.slots, gpu_layers=settings.gpu_layers
        )

    def _worker_options(self) -> WorkerOptions:
        settings = self._settings
        return WorkerOptions(
            log_dir=self._paths.worker_log_dir,
            context_length=settings.context_length,
            slots=settings.slots,
            threads=settings.threads,
            gpu_layers=settings.gpu_layers,
            rpc_servers=settings.rpc_servers,
            load_timeout_s=settings.load_timeout_s,
            generation_timeout_s=settings.generation_timeout_s,
            hidden_variables=settings.key_variables,
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
            caught = [signal.SIGINT, signal.SIGTERM]
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` leaves it
                caught.append(signal.SIGHUP)
            for number in caught:
                asyncio.get_running_loop().add_signal_handler(number, self.request_stop)

    async def _preload(self, services: Services) -> None:
        if not self._settings.load_on_start:
            return
        try:
            await services.residency.load(_absolute(self._settings.model))
        except PunaError as error:
            _log.warning("the default model is not loaded: %s", error.message)

    async def _drain(self, runner: web.AppRunner, services: Services) -> None:
        """Let open requests finish."""
        _log.info("stopping; %d requests are open", services.activity.open_requests)
        for site in list(runner.sites):
            await site.stop()
        services.jobs.stop_taking()
        services.finetunes.stop_taking()
        services.residency.refuse_new_work()
        await services.hub.downloads.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_timeout_s):
                while services.activity.open_requests and not self._hurry.is_set():  # noqa: ASYNC110 - two conditions, one of them a counter
                    await asyncio.sleep(_POLL_S)
