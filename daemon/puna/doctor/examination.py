"""All looks together, side by side: none can hold up or break the others."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from msgspec import Struct

import puna
from puna import client
from puna.config import Settings
from puna.doctor import daemon, engine, hub, machine, models, places, tokens
from puna.doctor.configuration import Configuration, judge_settings, look_at_settings
from puna.doctor.finding import Finding, Report, Section, begin_upper, make_report, problem
from puna.doctor.patience import run_bounded
from puna.domain.hardware import Hardware, LlamaBuild
from puna.domain.models import ModelEntry
from puna.engine.probe import probe
from puna.errors import EngineUnusableError, PunaError
from puna.hardware.gpu_use import judge_gpus
from puna.hardware.machine import read_machine
from puna.hub.places import HubPlaces, chosen, places_in
from puna.instance import Presence
from puna.paths import Paths


class Part(Struct, frozen=True):
    """What one look found."""

    findings: list[Finding]
    hardware: Hardware | None = None


class Examination:
    """One run of all looks over one installation."""

    def __init__(
        self,
        paths: Paths,
        environ: Mapping[str, str],
        *,
        is_bundle: bool = False,
        look_at_llama: Callable[[], Awaitable[LlamaBuild]] = probe,
    ) -> None:
        """`is_bundle` is whether Puna was installed as one program."""
        self._paths = paths
        self._environ = environ
        self._is_bundle = is_bundle
        self._look_at_llama = look_at_llama

    async def run(self) -> Report:
        """Look at everything and return what was found. Takes some seconds at most a minute; changes nothing."""
        found = await run_bounded(lambda: look_at_settings(self._paths.config_file, self._environ))
        parts = await asyncio.gather(
            _guarded(Section.MACHINE, self._engine(found)),
            _guarded(Section.DAEMON, run_bounded(lambda: self._daemon(found))),
            _guarded(Section.FILES, run_bounded(lambda: self._files(found))),
            _guarded(Section.MODELS, run_bounded(lambda: self._models(found))),
            _guarded(Section.NETWORK, self._network(found)),
        )
        findings = [judge_settings(found), *(finding for part in parts for finding in part.findings)]
        alone, running, *_ = parts
        return make_report(findings, puna.__version__, running.hardware or alone.hardware)

    async def _engine(self, found: Configuration) -> Part:
        here = await run_bounded(read_machine)
        build, error, trial = None, None, None
        try:
            build = await self._look_at_llama()
            trial = await self._try_model(found.settings)
        except EngineUnusableError as failure:
            error = failure.message
        gpu_use = judge_gpus(build, here.graphics, is_bundle=self._is_bundle)
        return Part(
            [
                *machine.judge_machine(here, build, gpu_use, threads=found.settings.threads),
                *engine.judge_engine(build, error, here.processor, trial),
            ],
            Hardware(machine=here, gpu_use=gpu_use, llama=build, llama_error=error),
        )

    async def _try_model(self, settings: Settings) -> engine.Trial:
        demo = self._paths.demo_model
        try:
            size_bytes = (await run_bounded(demo.stat)).st_size
        except OSError as error:
            return engine.Trial(error=f"{demo} cannot be read ({error.strerror})")
        entry = ModelEntry(id="demo", name="demo", path=demo, size_bytes=size_bytes)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return await engine.try_model(entry, Path(folder), settings)

    def _daemon(self, found: Configuration) -> Part:
        host, port = found.settings.host, found.settings.port
        seen = client.probe(self._paths)
        status, hardware, port_error = None, None, None
        if seen.presence is Presence.RUNNING and seen.endpoint is not None:
            try:
                asked = client.ControlClient(seen.endpoint, timeout_s=10.0)
                status, hardware = asked.status(), asked.hardware()
            except PunaError:
                status = None  # an older daemon, or one that ended just now
        elif seen.presence is not Presence.STARTING:
            port_error = daemon.find_port_error(host, port)
        state = daemon.DaemonState(
            presence=seen.presence, endpoint=seen.endpoint, status=status, port_error=port_error
        )
        return Part(daemon.judge_daemon(state, host, port, puna.__version__), hardware)

    def _files(self, found: Configuration) -> Part:
        paths, there = self._paths, self._places(found)
        folders = {
            "config": paths.config_file.parent,
            "state": paths.state_dir,
            "logs": paths.log_dir,
            "Hub cache": there.cache,
        }
        secret = [
            file
            for file in (paths.endpoint_file, paths.database_file, paths.secrets_file, there.token_file)
            if file.exists()
        ]
        return Part(
            [
                *places.judge_places([places.look_at_place(name, path) for name, path in folders.items()]),
                *places.judge_disks(places.look_at_disks(folders.values(), there.cache)),
                places.judge_open_files(places.find_open_files(secret), secret),
            ]
        )

    def _models(self, found: Configuration) -> Part:
        shelf = models.look_at_models(found.settings, self._paths, self._places(found).cache)
        return Part(models.judge_models(shelf, found.settings, self._paths.state_file))

    async def _network(self, found: Configuration) -> Part:
        there, secrets, environ = self._places(found), self._paths.secrets_file, self._environ
        state, seen = await asyncio.gather(
            hub.look_at_hub(there.endpoint, is_offline=there.is_offline),
            run_bounded(lambda: tokens.look_at_tokens(there.token_file, secrets, environ)),
        )
        return Part([hub.judge_hub(state), *tokens.judge_tokens(seen)])

    def _places(self, found: Configuration) -> HubPlaces:
        settings = found.settings
        return chosen(
            places_in(self._environ),
            endpoint=settings.hub_endpoint,
            cache=settings.hub_cache,
            token_file=settings.hub_token_file,
            is_offline=settings.offline,
        )


async def _guarded(section: Section, look: Awaitable[Part]) -> Part:
    """Turn what breaks or hangs a look into a finding: the others must be shown all the same."""
    try:
        return await look
    except PunaError as error:
        fact, _, advice = error.message.partition(": ")
        return Part([problem(section, "look", fact, begin_upper(advice or fact))])
    except Exception as error:  # noqa: BLE001 - a doctor that dies of what it looks at is of no use
        text = f"could not be looked at ({type(error).__name__}: {error})"
        advice = "Run it again; if it stays so, report this as a mistake in Puna."
        return Part([problem(section, "look", text, advice)])
