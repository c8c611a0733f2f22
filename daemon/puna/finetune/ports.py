"""What fine-tuning needs of the rest of the daemon."""

from typing import Protocol

from puna.domain.finetune_events import FinetuneEvent
from puna.domain.models import ModelEntry


class Bases(Protocol):
    """The models that can be fine-tuned; the catalogue is the real one."""

    async def find(self, name: str) -> ModelEntry:
        """Return the model with this name. Raises `ModelNotFoundError`, or `ModelLoadError` for a bad file."""
        ...


class Publisher(Protocol):
    """Tells others how a fine-tuning ended; the webhooks are the real one."""

    async def publish(self, event: FinetuneEvent) -> None:
        """Keep an event for all who want it; the same one again changes nothing."""
        ...
