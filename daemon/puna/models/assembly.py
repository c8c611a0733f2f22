"""Makes the catalogue of the daemon from the settings and the places of this system."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from puna.config import Settings
from puna.domain.model_tools import ModelTool
from puna.domain.models import ModelEntry
from puna.models.adapters import AdaptedModels, AdapterFiles
from puna.models.added import AddedFiles
from puna.models.catalogue import LocalCatalogue
from puna.models.fingerprints import Fingerprints
from puna.models.known import read_known_models
from puna.models.tool_folders import tool_folder
from puna.paths import Paths


def open_catalogue(
    settings: Settings,
    paths: Paths,
    aliases: Mapping[str, str],
    added: AddedFiles,
    *,
    hub_cache: Path,
    fixed: Sequence[ModelEntry] = (),
    adapters: AdapterFiles | None = None,
    fingerprints: Fingerprints | None = None,
) -> LocalCatalogue:
    """Return the catalogue; nothing is looked through yet. Reads small files, so call it in a thread.

    `fixed` are models without a file on this machine, `adapters` what was trained here.
    """
    return LocalCatalogue(
        paths.demo_model,
        settings.model_folders,
        aliases,
        hub_cache=hub_cache,
        tool_folders={tool: tool_folder(tool) for tool in ModelTool},
        used_tools=settings.use_models_of,
        known=read_known_models(paths.known_models),
        added=added,
        fixed=fixed,
        adapters=AdaptedModels(adapters, fingerprints) if adapters else None,
    )
