"""What can be run on this machine: the demo model, GGUF files in all places where they may be, and remote models."""

import asyncio
import itertools
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from puna.domain.model_tools import ModelTool
from puna.domain.models import ModelEntry, ModelSource
from puna.errors import InvalidRequestError, ModelLoadError, ModelNotFoundError, PunaError
from puna.hub.cache import RepoFolder, commit_of
from puna.hub.names import DEFAULT_REVISION
from puna.models.adapters import AdaptedModels, expect_usable
from puna.models.added import AddedFiles, taken
from puna.models.gguf.defect import file_label, quote
from puna.models.inspection import Inspected, Inspector, NotAModelError
from puna.models.known import KnownModels, Wanted
from puna.models.listing import DEMO_ID, Listed, Listing, UnusableFile, to_entry
from puna.models.lookup import describe_kept, expect, look_up
from puna.models.names import is_path, is_presentable, path_in
from puna.models.opened import OpenedFiles
from puna.models.projectors import ProjectorFinder
from puna.models.shared_runs import SharedRuns
from puna.models.survey import ModelFolder, NamedFile, Places, look, real_path_of_model
from puna.models.tool_folders import FolderOffer, find_offers

NO_ALIASES: Mapping[str, str] = MappingProxyType({})
NO_TOOLS: Mapping[ModelTool, Path] = MappingProxyType({})

log = logging.getLogger(__name__)


class Overview(Struct, frozen=True, kw_only=True):
    """Everything that was found, for people."""

    models: tuple[ModelEntry, ...]
    """The demo model first, the others by id."""
    unusable: tuple[UnusableFile, ...]
    """Files that cannot run, by id; projectors that belong to a listed model are not among them."""
    offers: tuple[FolderOffer, ...]
    """Folders of other programs that hold models and are not used."""


class LocalCatalogue:
    """The models on this machine; implements `puna.residency.ports.Catalogue`.

    Belongs to one event loop, which owns its state; what blocks runs in threads, and callers who want the
    same at the same time share one run. A file that was named by path stays listed under its name, so that no
    later request needs the path.
    """

    def __init__(
        self,
        demo_model: Path,
        folders: Sequence[Path] = (),
        aliases: Mapping[str, str] = NO_ALIASES,
        *,
        hub_cache: Path | None = None,
        tool_folders: Mapping[ModelTool, Path] = NO_TOOLS,
        used_tools: Collection[ModelTool] = (),
        known: KnownModels | None = None,
        added: AddedFiles | None = None,
        fixed: Sequence[ModelEntry] = (),
        adapters: AdaptedModels | None = None,
    ) -> None:
        """Take the built-in demo model, the places to look in, and other names; nothing is read yet.

        An alias stands for an id or a path; it wins over an id of the same name. They are read at each look-up,
        so that they may change. `tool_folders` are those of other programs, of which `used_tools` are looked
        into and the others only offered. `fixed` are models without a file here, `adapters` what was trained here.
        """
        self._demo_model = demo_model
        self._aliases = aliases
        self._hub_cache = hub_cache
        self._folders = [ModelFolder(folder.expanduser().absolute()) for folder in folders]
        self._folders += [
            ModelFolder(folder, ModelSource(tool))
            for tool, folder in tool_folders.items()
            if tool in used_tools
        ]
        self._offered = {tool: path for tool, path in tool_folders.items() if tool not in used_tools}
        self._known = known or KnownModels()
        self._added = added
        self._fixed = {entry.id: entry for entry in fixed}
        self._adapters = adapters
        self._inspector = Inspector()
        self._runs = SharedRuns()
        self._listing: Listing | None = None
        self._looks = itertools.count(1)
        self._last_look = 0
        self._opened = OpenedFiles(self._is_taken)
        self._told: set[str] = set()

    async def entries(self) -> Sequence[ModelEntry]:
        """Return all models, the demo model first, the others by id, adapters last."""
        models = await self._entries_of(await self.refresh())
        return [*models, *(each for each in await self._adapted(models) if isinstance(each, ModelEntry))]

    async def overview(self) -> Overview:
        """Return the models, what cannot run and why, and what other programs have."""
        listing = await self.refresh()
        bases = await self._entries_of(listing)
        adapted = await self._adapted(bases)
        models = (*bases, *(each for each in adapted if isinstance(each, ModelEntry)))
        attached = {entry.projector for entry in models}
        used = [folder.path for folder in self._folders]
        used += [self._hub_cache] if self._hub_cache else []
        offers = await self._runs.share("offers", lambda: find_offers(used, self._offered))
        return Overview(
            models=models,
            unusable=(
                *(
                    listing.refused[model_id]
                    for model_id in sorted(listing.refused)
                    if listing.refused[model_id].path not in attached
                ),
                *(each for each in adapted if isinstance(each, UnusableFile)),
            ),
            offers=offers,
        )

    async def find(self, name: str) -> ModelEntry:
        """Return the model with this id, or the GGUF file at this absolute path, its header checked.

        Names of the Hub (`org/repo:Q4_K_M`) and of the table of known models (`llama3.2:1b`) lead to their files
        wherever they are on this machine. Raises `ModelNotFoundError`, which says how to get the model or names
        the nearest ids, `ModelLoadError` for a file that cannot be run, and `InvalidRequestError` where the name is
        the path of such a file: the request is wrong then, and not the machine.
        """
        try:
            entry = await self._find(self._aliases.get(name, name))
            return self._adapters.with_sizes(entry) if self._adapters else entry
        except ModelLoadError as error:
            if name in self._aliases or not is_path(name):
                raise
            raise InvalidRequestError(error.message, field="model") from None

    async def _find(self, name: str) -> ModelEntry:
        if name == DEMO_ID:
            return await self._find_demo()
        if name in self._fixed:
            return self._fixed[name]
        if self._adapters is not None and name in self._adapters:
            return expect_usable(await self._find_adapted(self._adapters, name))
        listing = self._listing or await self.refresh()
        path = path_in(name)
        if path is not None:
            return await self._open(path)
        wanted = await self._pin(self._known.find(name))
        listed = look_up(listing, name, wanted)
        if isinstance(listed, Listed) and await self._is_unchanged(listed):
            return listed.entry
        listing = await self.refresh()
        return self._expect(listing, name, wanted)

    async def find_any(self, name: str) -> ModelEntry | UnusableFile:
        """Return what a name means, a file that cannot run too, for who wants to remove it. Errors as `find`."""
        try:
            return await self.find(name)
        except ModelLoadError:
            name = self._aliases.get(name, name)
            if self._adapters is not None and name in self._adapters:
                return await self._find_adapted(self._adapters, name)
            found = look_up(await self.refresh(), name, None)
            if isinstance(found, UnusableFile):
                return found
            raise

    def wanted(self, name: str) -> Wanted | None:
        """Return what a name means on the Hub, for who wants to download it; None where it means nothing there."""
        return self._known.find(self._aliases.get(name, name))

    def hub_name(self, name: str) -> str | None:
        """Return what to download for a name: `org/repo:Q4_K_M`; None where it means nothing on the Hub."""
        wanted = self.wanted(name)
        return str(wanted.download) if wanted else None

    async def add(self, path: Path, name: str | None = None) -> ModelEntry:
        """List a file that stays where it is, from now on and after restarts, and return its entry.

        Without a name its file name is taken. Raises `ModelNotFoundError` where there is no file, and
        `InvalidRequestError` for a file that cannot run, for a relative path and for a name of another model.
        """
        assert self._added is not None, "the catalogue was made without a memory for added files"
        if not path.is_absolute():
            raise InvalidRequestError("`path` must be absolute, such as /home/me/model.gguf.", field="path")
        await self.refresh()
        try:
            entry = await self._open(path)
        except ModelLoadError as error:
            raise InvalidRequestError(error.message, field="path") from None
        if entry.source in {ModelSource.DEMO, ModelSource.HUB} or (
            entry.source not in {ModelSource.NAMED, ModelSource.ADDED} and name is None
        ):
            return entry
        model_id = name or entry.id
        if model_id != entry.id:
            self._check_free(model_id)
        await self._added.add(model_id, entry.files[0], is_new=model_id != entry.id)
        self._opened.forget(entry.id)
        return self._expect(await self.refresh(), model_id, None)

    async def forget(self, name: str) -> str:
        """Take a file out of the list that was added or named by its path, and return its id; the file stays.

        Raises `ModelNotFoundError`, and `InvalidRequestError` for models that are there for another reason.
        """
        listing = await self.refresh()
        model_id = listing.find_id(name) or name
        if self._added is not None and model_id in self._added:
            await self._added.forget(model_id)
        elif not self._opened.forget(model_id):
            raise InvalidRequestError(describe_kept(await self.find(name)))
        await self.refresh()
        return model_id

    async def refresh(self) -> Listing:
        """Look through all places, and keep what was found. New files count from then on.

        Looks at other places may run at the same time: of what they found, that of the one that was begun last stays.
        """
        places, number = self._places(), next(self._looks)
        ids = [named.id for named in places.named]
        listing = await self._runs.share_anew(f"look {ids}", lambda: look(places, self._inspector))
        if number > self._last_look:
            self._listing, self._last_look = listing, number
        for trouble in listing.troubles:
            self._tell(trouble)
        return listing

    def _places(self) -> Places:
        added = self._added.paths if self._added else {}
        named = [NamedFile(model_id, path, ModelSource.ADDED) for model_id, path in added.items()]
        return Places(
            named=[*named, *self._opened.files],
            hub_cache=self._hub_cache,
            folders=self._folders,
            reserved=frozenset(self._fixed),
        )

    async def _entries_of(self, listing: Listing) -> list[ModelEntry]:
        entries = [*(listed.entry for listed in listing.models.values()), *self._fixed.values()]
        others = sorted(entries, key=lambda entry: entry.id)
        try:
            return [await self._find_demo(), *others]
        except PunaError as error:
            self._tell(error.message)
            return others

    async def _adapted(self, models: Sequence[ModelEntry]) -> list[ModelEntry | UnusableFile]:
        return await self._adapters.find_all(models) if self._adapters else []

    async def _find_adapted(self, adapters: AdaptedModels, name: str) -> ModelEntry | UnusableFile:
        """Return an adapter; where its base is not among what was seen last, after another look."""
        known = await self._entries_of(self._listing) if self._listing else []
        found = await adapters.find(name, known)
        if isinstance(found, ModelEntry):
            return found
        found = await adapters.find(name, await self._entries_of(await self.refresh()))
        if found is None:
            raise ModelNotFoundError(f"There is no model {name} any more.")
        return found

    async def _pin(self, wanted: Wanted | None) -> Wanted | None:
        """Turn a branch or a tag into the commit that the Hub's cache has for it."""
        if wanted is None or self._hub_cache is None or wanted.reference.revision == DEFAULT_REVISION:
            return wanted
        folder = RepoFolder(self._hub_cache, wanted.reference.repo)
        return wanted.at(await asyncio.to_thread(commit_of, folder, wanted.reference.revision))

    def _expect(self, listing: Listing, name: str, wanted: Wanted | None) -> ModelEntry:
        others = (*self._aliases, *self._fixed, *(self._adapters.ids if self._adapters else ()))
        return expect(listing, name, wanted, others=others, known=self._known.names)

    async def _is_unchanged(self, listed: Listed) -> bool:
        return await asyncio.to_thread(self._inspector.is_unchanged, listed.entry.files)

    async def _find_demo(self) -> ModelEntry:
        try:
            inspected = await self._inspect(self._demo_model)
        except FileNotFoundError:
            raise ModelNotFoundError("The built-in demo model is missing; install Puna again.") from None
        return to_entry(DEMO_ID, inspected, source=ModelSource.DEMO)

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
        listed = self._listing.at(real) if self._listing else None
        if listed is None:
            named = self._opened.name(real, inspected.files[0])
            return await asyncio.to_thread(self._describe, named, inspected)
        if listed.entry.modified_s == inspected.modified_s:
            return listed.entry
        return self._expect(await self.refresh(), listed.entry.id, None)

    def _describe(self, named: NamedFile, inspected: Inspected) -> ModelEntry:
        projector = ProjectorFinder(self._inspector).find(inspected.files[0], inspected.header)
        return to_entry(named.id, inspected, source=named.source, projector=projector)

    async def _inspect(self, path: Path) -> Inspected:
        try:
            return await self._runs.share(f"inspect {path}", lambda: self._inspector.inspect(path))
        except NotAModelError as error:
            raise ModelLoadError(str(error)) from None

    def _is_taken(self, model_id: str) -> bool:
        listing = self._listing or Listing()
        is_adapter = self._adapters is not None and model_id in self._adapters
        return (
            is_adapter
            or any(model_id in each for each in (self._fixed, self._opened))
            or listing.is_taken(model_id)
        )

    def _check_free(self, model_id: str) -> None:
        if not is_presentable(model_id) or path_in(model_id) is not None:
            raise InvalidRequestError("`name` must be a short text such as my-model.", field="name")
        if self._is_taken(model_id) or model_id in self._aliases:
            raise taken(model_id)

    def _tell(self, message: str) -> None:
        """Log a message once."""
        if message not in self._told:
            self._told.add(message)
            log.warning("%s", message)


def _real_paths(*paths: Path) -> list[str]:
    return [real_path_of_model(path) for path in paths]
