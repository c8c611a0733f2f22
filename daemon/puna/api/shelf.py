"""The catalogue as routes see it that change it, or bring what is missing."""

from pathlib import Path
from typing import Protocol

from puna.domain.models import ModelEntry
from puna.models.catalogue import Overview
from puna.models.known import Wanted
from puna.models.listing import UnusableFile
from puna.residency.ports import Catalogue


class Shelf(Catalogue, Protocol):
    """All models; `puna.models.catalogue.LocalCatalogue` is the real one, whose methods say what they raise."""

    async def overview(self) -> Overview:
        """Return the models, what cannot run and why, and what other programs have."""
        ...

    async def find_any(self, name: str) -> ModelEntry | UnusableFile:
        """Return what a name means, a file that cannot run too, for who wants to remove it."""
        ...

    def wanted(self, name: str) -> Wanted | None:
        """Return what a name means on the Hub; None where it means nothing there."""
        ...

    async def add(self, path: Path, name: str | None = None) -> ModelEntry:
        """List a file that stays where it is, from now on and after restarts, and return its entry."""
        ...

    async def forget(self, name: str) -> str:
        """Take a file out of the list that was added or named by its path, and return its id; the file stays."""
        ...
