"""The long-lived objects of the daemon, made once in `puna.lifecycle` and handed to whoever needs them."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
from puna.paths import Paths
from puna.residency.coordinator import Coordinator
from puna.store.database import Database
from puna.webhooks.service import WebhookService

__all__ = ["Activity", "Instructions", "Services"]


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that lives as long as the daemon; routes see of it what `puna.api.context.Context` names."""

    settings: Settings
    paths: Paths
    catalogue: Shelf
    nicknames: Nicknames
    residency: Coordinator
    database: Database
    keys: KeyRing
    limits: Limiter
    jobs: JobService
    conversations: Archive
    hub: HubDesk
    datasets: DatasetStore
    adapters: AdapterShelf
    finetunes: FinetuneService
    webhooks: WebhookService
    instructions: Instructions
    admin_token: str = field(repr=False)
    instance: str
    request_stop: Callable[[], None]
    """Ask the daemon to stop, as its signals do. Returns at once; called from the event loop."""
    activity: Activity = field(default_factory=Activity)
    llama: LlamaProbe = field(default_factory=LlamaProbe)
