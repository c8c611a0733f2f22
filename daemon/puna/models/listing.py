"""One look at the disk: which files are models, under which ids, and why the others are not."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from puna.domain.models import ModelEntry, ModelKind
from puna.errors import ModelLoadError
from puna.models.abilities import can_call_tools, can_think
from puna.models.gguf.defect import file_label
from puna.models.inspection import Inspected, Inspector, NotAModelError
from puna.models.names import choose_id, describe_model, id_candidates, is_presentable, model_stem
from puna.models.splits import parse_part_name
from puna.models.walk import find_files

DEMO_ID = "demo"


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that can run, and its files."""

    entry: ModelEntry
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found."""

    models: dict[str, Listed] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """By id, why a file is not listed."""
    ids_by_file: dict[str, str] = field(default_factory=dict)
    """By the real path of a model's first file, its id."""
    troubles: list[str] = field(default_factory=list)
    """What the owner of the files should know of: broken files, not those of other kinds."""

    @property
    def ids(self) -> list[str]:
        """The ids of the models, sorted."""
        return sorted(self.models)

    def is_taken(self, model_id: str) -> bool:
        """Return whether the id has a meaning already."""
        return model_id == DEMO_ID or model_id in self.models or model_id in self.refused


def look(folders: Iterable[Path], opened: Sequence[tuple[str, Path]], inspector: Inspector) -> Listing:
    """Return the models in the folders, after those that were `opened` by path and keep their ids.

    Blocks on the disk.
    """
    listing = Listing()
    seen: set[str] = set()
    for model_id, path in opened:
        _list_file(listing, seen, path, [model_id], inspector)
    for folder in folders:
        for path in find_files(folder):
            _list_file(listing, seen, path, id_candidates(path, folder), inspector)
    return listing


def _list_file(
    listing: Listing, seen: set[str], path: Path, candidates: Sequence[str], inspector: Inspector
) -> None:
    real = real_path_of_model(path)
    if real in seen:
        return
    seen.add(real)
    if not is_presentable(candidates[0]):
        listing.troubles.append(f"{file_label(path)} is not listed: its name is no valid text.")
        return
    model_id = choose_id(candidates, listing.is_taken)
    try:
        inspected = inspector.inspect(path)
    except FileNotFoundError:
        return
    except NotAModelError as error:
        listing.refused[model_id] = str(error)
    except ModelLoadError as error:
        listing.refused[model_id] = error.message
        listing.troubles.append(error.message)
    else:
        listing.models[model_id] = Listed(to_entry(model_id, inspected), inspected.files)
        listing.ids_by_file[real] = model_id


def real_path_of_model(path: Path) -> str:
    """Return the real path of the first file of the model that this file is a part of."""
    part = parse_part_name(path.name)
    return os.path.realpath(path if part is None else path.with_name(part.sibling(1)))


def to_entry(model_id: str, inspected: Inspected) -> ModelEntry:
    """Return the catalogue's entry for a model; the demo model describes itself."""
    header = inspected.header
    facts = describe_model(header, inspected.parameter_count)
    is_text = header.model_kind is ModelKind.TEXT
    template = header.chat_template if is_text else None
    return ModelEntry(
        id=model_id,
        name=header.name or model_stem(inspected.files[0]),
        path=inspected.files[0],
        size_bytes=inspected.size_bytes,
        description=(header.description if model_id == DEMO_ID else "") or facts,
        architecture=header.architecture,
        context_length=header.context_length,
        kind=header.model_kind,
        parameter_count=inspected.parameter_count,
        quantisation=header.quantisation,
        embedding_length=header.embedding_length,
        can_think=can_think(template),
        can_call_tools=can_call_tools(template) or (is_text and "tool_use" in header.chat_template_names),
        can_infill=header.can_infill,
        chat_template=template,
        modified_s=inspected.modified_s,
    )
