"""What can be run on this machine: the demo model, GGUF files in folders, and GGUF files named by path."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from puna.domain.models import ModelEntry
from puna.errors import ModelLoadError, ModelNotFoundError, PunaError
from puna.models.gguf.defect import file_label, quote
from puna.models.inspection import Inspected, Inspector, NotAModelError
from puna.models.listing import DEMO_ID, Listing, look, real_path_of_model, to_entry
from puna.models.names import choose_id, describe_unknown, is_presentable, model_stem, path_in

NO_ALIASES: Mapping[str, str] = MappingProxyType({})
MAX_OPENED = 256
"""Files that were named by path and stay listed; beyond that the oldest is forgotten."""

log = logging.getLogger(__name__)
_T = TypeVar("_T")


class LocalCatalogue:
    """The models on this machine's disk; implements `puna.residency.ports.Catalogue`.

    Belongs to one event loop, which owns its state; what blocks runs in threads, and callers who want the
    same at the same time share one run. A file that was named by path stays listed under its name, so that no
    later request needs the path.
    """

    def __init__(
        self, demo_model: Path, folders: Sequence[Path] = (), aliases: Mapping[str, str] = NO_ALIASES
    ) -> None:
        """Take the built-in demo model, the folders to look in, and other names; nothing is read yet.

        An alias stands for an id or a path; it wins over an id of the same name. They are read at each look-up,
        so that they may change.
        """
        self._demo_model = demo_model
        self._aliases = aliases
        self._folders = tuple(folder.expanduser().absolute() for folder in folders)
        self._inspector = Inspector()
        self._runs = _SharedRuns()
        self._listing: Listing | None = None
        self._opened: dict[str, tuple[str, Path]] = {}
        self._told: set[str] = set()

    async def entries(self) -> Sequence[ModelEntry]:
        """Return all models, the demo model first, the others by id."""
        listing = await self._look()
        others = [listing.models[model_id].entry for model_id in listing.ids]
        try:
            return [await self._find_demo(), *others]
        except PunaError as error:
            self._tell(error.message)
            return others

    async def find(self, name: str) -> ModelEntry:
        """Return the model with this id, or the GGUF file at this absolute path, its header checked.

        Raises `ModelNotFoundError` with the nearest ids, or `ModelLoadError` for a file that cannot be run.
        """
        name = self._aliases.get(name, name)
        if name == DEMO_ID:
            return await self._find_demo()
        listing = self._listing or await self._look()
        path = path_in(name)
        if path is not None:
            return await self._open(path)
        listed = listing.models.get(_to_id(name, listing))
        if listed is not None and await asyncio.to_thread(self._inspector.is_unchanged, listed.files):
            return listed.entry
        return _find_in(await self._look(), name, self._aliases)

    async def _look(self) -> Listing:
        """Look through the folders, and keep what was found."""
        opened = list(self._opened.values())
        listing = await self._runs.share(
            f"look {len(opened)}", lambda: look(self._folders, opened, self._inspector)
        )
        self._listing = listing
        for trouble in listing.troubles:
            self._tell(trouble)
        return listing

    async def _find_demo(self) -> ModelEntry:
        try:
            inspected = await self._inspect(self._demo_model)
        except FileNotFoundError:
            raise ModelNotFoundError("The built-in demo model is missing; install Puna again.") from None
        return to_entry(DEMO_ID, inspected)

    async def _open(self, path: Path) -> ModelEntry:
        """Return the model at this path under the id that it has, or gets now."""
        try:
            inspected = await self._inspect(path)
        except FileNotFoundError:
            raise ModelNotFoundError(
                f"There is no file {quote(file_label(path))} at the path given."
            ) from None
        real, demo = await asyncio.to_thread(_real_paths, inspected.files[0], self._demo_model)
        if real == demo:
            return await self._find_demo()
        listed = self._listing.ids_by_file.get(real) if self._listing else None
        return to_entry(listed or self._name_opened(real, inspected.files[0]), inspected)

    async def _inspect(self, path: Path) -> Inspected:
        try:
            return await self._runs.share(f"inspect {path}", lambda: self._inspector.inspect(path))
        except NotAModelError as error:
            raise ModelLoadError(str(error)) from None

    def _name_opened(self, real: str, path: Path) -> str:
        if real not in self._opened:
            stem = model_stem(path)
            model_id = choose_id([stem if is_presentable(stem) else "model"], self._is_taken)
            self._opened[real] = (model_id, path)
            while len(self._opened) > MAX_OPENED:
                del self._opened[next(iter(self._opened))]
        return self._opened[real][0]

    def _is_taken(self, model_id: str) -> bool:
        listing = self._listing or Listing()
        return listing.is_taken(model_id) or any(model_id == opened for opened, _ in self._opened.values())

    def _tell(self, message: str) -> None:
        """Log a message once."""
        if message not in self._told:
            self._told.add(message)
            log.warning("%s", message)


def _real_paths(*paths: Path) -> list[str]:
    return [real_path_of_model(path) for path in paths]


def _to_id(name: str, listing: Listing) -> str:
    """Return the id that a name means: itself, or without the `.gguf` that people write behind it."""
    return name if listing.is_taken(name) else name.removesuffix(".gguf")


def _find_in(listing: Listing, name: str, aliases: Iterable[str]) -> ModelEntry:
    model_id = _to_id(name, listing)
    if model_id in listing.models:
        return listing.models[model_id].entry
    if model_id in listing.refused:
        raise ModelLoadError(listing.refused[model_id])
    raise ModelNotFoundError(describe_unknown(name, [DEMO_ID, *aliases, *listing.ids]))


class _SharedRuns:
    """Runs blocking functions in threads; callers with the same key at the same time share one run."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def share(self, key: str, function: Callable[[], _T]) -> _T:
        """Return what the function returns; a caller who is cancelled does not cancel it for the others."""
        task: asyncio.Task[_T] | None = self._running.get(key)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(function))
            self._running[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    def _end(self, key: str, task: asyncio.Task[Any]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()
