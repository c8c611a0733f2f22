"""Looks through all places where models are. Blocks on the disk; run in a thread."""

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from puna.domain.models import ModelSource
from puna.domain.part_names import parse_part_name
from puna.errors import ModelLoadError
from puna.hub.cache import CachedModel, list_models
from puna.hub.names import HubReference, is_repo_id
from puna.hub.quantisations import label_of
from puna.models.gguf.defect import file_label
from puna.models.header import GgufKind
from puna.models.inspection import Inspector, NotAModelError
from puna.models.listing import Listed, Listing, UnusableFile, describe_gone, to_entry
from puna.models.names import choose_id, id_candidates, is_presentable
from puna.models.projectors import ProjectorFinder
from puna.models.walk import find_files


class ModelFolder(Struct, frozen=True):
    """A folder that is looked through, and on whose behalf."""

    path: Path
    source: ModelSource = ModelSource.FOLDER


class NamedFile(Struct, frozen=True):
    """A file that keeps an id because somebody named it by its path."""

    id: str
    path: Path
    source: ModelSource


class Places(Struct, frozen=True, kw_only=True):
    """Where to look, in this order; a file in two places counts where it is found first."""

    named: Sequence[NamedFile] = ()
    hub_cache: Path | None = None
    folders: Sequence[ModelFolder] = ()
    reserved: frozenset[str] = frozenset()
    """Ids that are taken."""


class _Found(Struct, frozen=True, kw_only=True):
    """A file that may be a model."""

    path: Path
    ids: Sequence[str]
    """The best first."""
    source: ModelSource
    reference: HubReference | None = None
    commit: str = ""
    label: str = ""
    files: tuple[Path, ...] = ()
    projector: Path | None = None


def look(places: Places, inspector: Inspector) -> Listing:
    """Return the models in all places. The inspector remembers headers from one look to the next."""
    survey = _Survey(inspector, places.reserved)
    for named in places.named:
        survey.take(_Found(path=named.path, ids=[named.id], source=named.source))
    for cached in list_models(places.hub_cache) if places.hub_cache else ():
        survey.take(_of_cache(cached))
    for folder in places.folders:
        for path in find_files(folder.path):
            survey.take(_of_folder(path, folder))
    return survey.listing


def _of_cache(cached: CachedModel) -> _Found:
    return _Found(
        path=cached.files[0],
        ids=[cached.name],
        source=ModelSource.HUB,
        reference=cached.reference,
        commit=cached.commit,
        label=cached.label,
        files=cached.files,
        projector=cached.projection,
    )


def _of_folder(path: Path, folder: ModelFolder) -> _Found:
    return _Found(
        path=path,
        ids=id_candidates(path, folder.path),
        source=folder.source,
        reference=_reference_of(path.relative_to(folder.path)),
        label=label_of(path.name),
    )


def _reference_of(inside: Path) -> HubReference | None:
    """Return what a file is on the Hub, from the folders in which LM Studio and others keep it: `org/repo/file`."""
    repo = "/".join(inside.parts[:2])
    return HubReference(repo, inside.name) if len(inside.parts) > 2 and is_repo_id(repo) else None


class _Survey:
    """One look."""

    def __init__(self, inspector: Inspector, reserved: frozenset[str]) -> None:
        self.listing = Listing(reserved=Listing().reserved | reserved)
        self._inspector = inspector
        self._projectors = ProjectorFinder(inspector)
        self._seen: set[str] = set()

    def take(self, found: _Found) -> None:
        """List a file, or why it cannot be listed."""
        real = real_path_of_model(found.path)
        if real in self._seen:
            return
        self._seen.add(real)
        if not is_presentable(found.ids[0]):
            label = file_label(found.path)
            self.listing.troubles.append(f"{label} is not listed: its name is no valid text.")
            return
        self._inspect(found, choose_id(found.ids, self.listing.is_taken), real)

    def _inspect(self, found: _Found, model_id: str, real: str) -> None:
        try:
            inspected = self._inspector.inspect(found.path)
        except FileNotFoundError:
            if found.source is ModelSource.ADDED:
                self._refuse(found, model_id, describe_gone(model_id, found.path))
        except NotAModelError as error:
            self._refuse(found, model_id, str(error), error.kind)
        except ModelLoadError as error:
            self._refuse(found, model_id, error.message)
        else:
            projector = found.projector or self._projectors.find(inspected.files[0], inspected.header)
            entry = to_entry(model_id, inspected, source=found.source, projector=projector)
            self.listing.models[model_id] = Listed(entry, found.reference, found.commit, found.label)
            self.listing.ids_by_file[real] = model_id

    def _refuse(self, found: _Found, model_id: str, reason: str, kind: GgufKind | None = None) -> None:
        self.listing.refused[model_id] = UnusableFile(
            id=model_id,
            path=found.path,
            reason=reason,
            source=found.source,
            files=found.files or (found.path,),
            kind=kind,
        )
        if kind is None:
            self.listing.troubles.append(reason)


def real_path_of_model(path: Path) -> str:
    """Return the real path of the first file of the model that this file is a part of."""
    part = parse_part_name(path.name)
    return os.path.realpath(path if part is None else path.with_name(part.sibling(1)))
