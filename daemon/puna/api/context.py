"""What routes may use of the daemon. `puna.services.Services` is the real one; tests bring their own."""

from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from puna.api.activity import Activity
from puna.api.instructions import Instructions
from puna.api.shelf import Shelf
from puna.config import Settings
from puna.conversations.archive import Archive
from puna.downloads.desk import HubDesk
from puna.engine.probe import LlamaProbe
from puna.finetune.adapters import AdapterShelf
from puna.finetune.datasets.store import DatasetStore
from puna.finetune.service import FinetuneService
from puna.jobs.service import JobService
from puna.keys.ring import KeyRing
from puna.limits.limiter import Limiter
from puna.models.nicknames import Nicknames
from puna.residency.coordinator import Coordinator
from puna.store.database import Database
from puna.webhooks.service import WebhookService


class Context(Protocol):
    """The long-lived objects of the daemon."""

    @property
    def settings(self) -> Settings:
        """What the user wants."""
        ...

    @property
    def catalogue(self) -> Shelf:
        """Everything that can be run."""
        ...

    @property
    def nicknames(self) -> Nicknames:
        """Further names of models, which people give and take back."""
        ...

    @property
    def residency(self) -> Coordinator:
        """What is in memory."""
        ...

    @property
    def database(self) -> Database:
        """What must outlive the daemon."""
        ...

    @property
    def keys(self) -> KeyRing:
        """The keys that hold, and the organisations."""
        ...

    @property
    def limits(self) -> Limiter:
        """How often clients have asked."""
        ...

    @property
    def jobs(self) -> JobService:
        """The generation jobs."""
        ...

    @property
    def conversations(self) -> Archive:
        """The stored answers of OpenAI's `/v1/responses`."""
        ...

    @property
    def hub(self) -> HubDesk:
        """Search, model cards and downloads."""
        ...

    @property
    def datasets(self) -> DatasetStore:
        """What models are fine-tuned on; its methods block, so they run in threads."""
        ...

    @property
    def adapters(self) -> AdapterShelf:
        """What came of fine-tunings."""
        ...

    @property
    def finetunes(self) -> FinetuneService:
        """Fine-tunings as jobs."""
        ...

    @property
    def webhooks(self) -> WebhookService:
        """Who is told how fine-tunings end."""
        ...

    @property
    def activity(self) -> Activity:
        """What has been answered."""
        ...

    @property
    def instructions(self) -> Instructions:
        """The system instructions that people set."""
        ...

    @property
    def llama(self) -> LlamaProbe:
        """What llama.cpp is here and which devices it sees."""
        ...

    @property
    def admin_token(self) -> str:
        """The secret of the endpoint file."""
        ...

    @property
    def instance(self) -> str:
        """Which start of the daemon this is."""
        ...

    @property
    def request_stop(self) -> Callable[[], None]:
        """Ask the daemon to stop, as its signals do; returns at once."""
        ...


CONTEXT: web.AppKey[Context] = web.AppKey("context")


def context_of(request: web.Request) -> Context:
    """Return what the routes of this application may use."""
    return request.app[CONTEXT]
