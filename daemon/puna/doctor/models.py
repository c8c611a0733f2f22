"""Models on this disk: what is listed, what is broken, and what other programs have."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from puna.config import Settings
from puna.doctor.finding import Finding, Section, ok, problem, warning
from puna.domain.finetune import ADAPTER_PREFIX
from puna.domain.models import ModelEntry, ModelSource
from puna.errors import PunaError
from puna.hardware.sizes import show_size
from puna.models.added import AddedFiles
from puna.models.assembly import open_catalogue
from puna.models.catalogue import LocalCatalogue, Overview
from puna.models.names import parse_aliases
from puna.models.tool_folders import FolderOffer
from puna.paths import Paths
from puna.state import State, StateFile

_TOLD_FILES = 3
_OWNERS = {
    ModelSource.HUB: "Hub cache",
    ModelSource.FOLDER: "folders",
    ModelSource.ADDED: "added",
}
"""What the lines about places are called; other places have the name of their program."""


class Shelf(Struct, frozen=True, kw_only=True):
    """What the catalogue finds, and the folders of the settings that are not there."""

    overview: Overview
    missing: tuple[Path, ...] = ()
    default_error: str | None = None
    """Why the model of the setting `model` cannot be run; None where it can."""
    is_state_damaged: bool = False
    """Whether the file with added files and nicknames cannot be read."""


def look_at_models(settings: Settings, paths: Paths, hub_cache: Path) -> Shelf:
    """Look through all places as the daemon does. Blocks on the disk; must run where no event loop does."""
    state = _read_state(paths.state_file)
    catalogue = open_catalogue(
        settings,
        paths,
        {**(state or State()).nicknames, **parse_aliases(settings.model_aliases)},
        AddedFiles(StateFile(paths.state_file), (state or State()).added_files),
        hub_cache=hub_cache,
    )
    overview, default_error = asyncio.run(_look(catalogue, settings.model))
    return Shelf(
        overview=overview,
        default_error=default_error,
        missing=tuple(folder for folder in settings.model_folders if not folder.is_dir()),
        is_state_damaged=state is None,
    )


async def _look(catalogue: LocalCatalogue, model: str) -> tuple[Overview, str | None]:
    overview = await catalogue.overview()
    if model.startswith(ADAPTER_PREFIX):
        return overview, None  # whether its base is here, only reading all of the base can tell
    try:
        await catalogue.find(model)
    except PunaError as error:
        return overview, error.message
    return overview, None


def judge_models(shelf: Shelf, settings: Settings, state_file: Path) -> list[Finding]:
    """Return the lines about models. Pure."""
    return [
        *_judge_listed(shelf.overview.models),
        *([_judge_default(settings.model, shelf.default_error)] if shelf.default_error else []),
        *(_judge_missing(folder, settings.model_folders) for folder in shelf.missing),
        *_judge_broken(shelf.overview),
        *(_judge_offer(offer, settings) for offer in shelf.overview.offers),
        *([_judge_state(state_file)] if shelf.is_state_damaged else []),
    ]


def _judge_listed(models: Sequence[ModelEntry]) -> Iterator[Finding]:
    counts = Counter(entry.source for entry in models)
    sizes = Counter[ModelSource]()
    for entry in models:
        sizes[entry.source] += entry.size_bytes + entry.projector_size_bytes
    yield ok(Section.MODELS, "built in", "the demo model")
    for source, count in counts.items():
        if source in (ModelSource.DEMO, ModelSource.REMOTE):
            continue
        text = f"{count} model{'s' * (count != 1)}, {show_size(sizes[source])}"
        yield ok(Section.MODELS, _OWNERS.get(source, source.value), text)
    if counts[ModelSource.REMOTE]:
        yield ok(Section.MODELS, "remote", f"{counts[ModelSource.REMOTE]} on other machines")


def _judge_missing(folder: Path, configured: Sequence[Path]) -> Finding:
    others = " ".join(f'"{path}"' for path in configured if path != folder) or "none"
    return problem(
        Section.MODELS,
        "folders",
        f"{folder} does not exist",
        f"Make the folder {folder}, or take it out: puna config set model_folders {others}",
    )


def _judge_default(model: str, error: str) -> Finding:
    return warning(
        Section.MODELS,
        "default",
        f"requests that name no model fail, because of the setting model={model}: {error}",
        "Choose a model that is there, see puna ls: puna config set model NAME",
    )


def _judge_broken(overview: Overview) -> Iterator[Finding]:
    broken = [file for file in overview.unusable if file.is_broken]
    if not broken:
        return
    told = " ".join(file.reason for file in broken[:_TOLD_FILES])
    more = f" And {len(broken) - _TOLD_FILES} more." if len(broken) > _TOLD_FILES else ""
    names = ", ".join(file.id for file in broken[:_TOLD_FILES])
    advice = f"Get the broken files ({names}{', ...' if more else ''}) again, or remove them."
    yield warning(Section.MODELS, "broken", told + more, advice)


def _judge_offer(offer: FolderOffer, settings: Settings) -> Finding:
    used = " ".join((*settings.use_models_of, offer.tool))
    count = f"{offer.model_count} model{'s' * (offer.model_count != 1)}"
    return ok(
        Section.MODELS,
        offer.tool.value,
        f"{count}, {show_size(offer.size_bytes)}, not listed; to list them: puna config set use_models_of {used}",
    )


def _judge_state(state_file: Path) -> Finding:
    return warning(
        Section.FILES,
        "state file",
        f"{state_file} is damaged, so added files and nicknames are lost",
        "Start Puna, which puts the damaged file aside, and add the files again: puna add FILE",
    )


def _read_state(file: Path) -> State | None:
    """Return what is remembered; None where it is damaged. Unlike the daemon this leaves the file where it is."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=State)
    except OSError:
        return State()  # there is none; where it cannot be read, the line about its folder says so
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
