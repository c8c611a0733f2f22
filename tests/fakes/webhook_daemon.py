"""The running daemon with a webhook service of its own, on short delays."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.webhook_home import Names
from puna.api.context import CONTEXT
from puna.api.webhook_desk import WEBHOOKS
from puna.store.database import Database
from puna.webhooks.address import AddressRules
from puna.webhooks.gate import Gate
from puna.webhooks.journal import WebhookJournal
from puna.webhooks.runner import RunnerOptions
from puna.webhooks.schedule import Schedule
from puna.webhooks.sender import HttpSender
from puna.webhooks.service import WebhookService

SHORT = Schedule((0.0, 0.05, 0.05, 0.1, 0.1, 0.1))
"""Six attempts within half a second."""


@dataclass
class DaemonWithWebhooks:
    """What a test can reach of it."""

    daemon: RunningDaemon
    webhooks: WebhookService
    names: Names

    @property
    def organisation(self) -> str:
        return self.daemon.services.keys.default_organisation.id


def service_of(
    database: Database, names: Names, *, schedule: Schedule = SHORT, timeout_s: float = 30.0
) -> WebhookService:
    gate = Gate(AddressRules(), names)
    sender = HttpSender(gate, timeout_s=timeout_s)
    options = RunnerOptions(schedule=schedule)
    return WebhookService(WebhookJournal(database), sender, gate, options, now=time.time)


@asynccontextmanager
async def run_daemon_with_webhooks(
    folder: Path, *, schedule: Schedule = SHORT, timeout_s: float = 30.0
) -> AsyncIterator[DaemonWithWebhooks]:
    """Run the daemon; its webhooks ask a resolver of the test for names."""
    names = Names(localhost=("127.0.0.1",))

    def tamper(app: web.Application) -> None:
        database = app[CONTEXT].database
        app[WEBHOOKS] = service_of(database, names, schedule=schedule, timeout_s=timeout_s)
        app.cleanup_ctx.append(_run_webhooks)

    async with run_daemon(folder, tamper=tamper) as daemon:
        yield DaemonWithWebhooks(daemon, daemon.app[WEBHOOKS], names)


async def _run_webhooks(app: web.Application) -> AsyncIterator[None]:
    await app[WEBHOOKS].start()
    yield
    await app[WEBHOOKS].close()
