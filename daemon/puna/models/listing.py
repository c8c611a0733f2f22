"""What a look at the disk found: which files are models, under which ids, and why the others are not. Pure."""

from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from puna.domain.models import ModelEntry, ModelKind, ModelSource
from puna.hub.names import HubReference
from puna.hub.quantisations import rank, same_label
from puna.models.abilities import can_call_tools, can_think
from puna.models.gguf.defect import file_label
from puna.models.header import GgufKind
from puna.models.inspection import Inspected
from puna.models.known import Wanted
from puna.models.names import describe_model, model_stem

DEMO_ID = "demo"


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that can run."""

    entry: ModelEntry
    reference: HubReference | None = None
    """Which files of the Hub these are, where that is known; the tag is a quantisation or a file's name."""
    commit: str = ""
    label: str = ""
    """The quantisation that the name of the file tells."""


class UnusableFile(Struct, frozen=True, kw_only=True):
    """A file that was found and cannot run."""

    id: str
    path: Path
    reason: str
    """A sentence with the file's name, never its folder."""
    source: ModelSource
    files: tuple[Path, ...] = ()
    """All parts where it is a split model in the Hub's cache, else the one file."""
    kind: GgufKind | None = None
    """What it is instead of a model; None where it is broken or gone."""

    @property
    def is_broken(self) -> bool:
        """Whether its owner should do something about it."""
        return self.kind is None


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found."""

    models: dict[str, Listed] = field(default_factory=dict)
    refused: dict[str, UnusableFile] = field(default_factory=dict)
    ids_by_file: dict[str, str] = field(default_factory=dict)
    """By the real path of a model's first file, its id."""
    troubles: list[str] = field(default_factory=list)
    """What the owner of the files should know of: broken files, not those of other kinds."""
    reserved: frozenset[str] = frozenset({DEMO_ID})
    """Ids that no file can have."""

    @property
    def ids(self) -> list[str]:
        """The ids of the models, sorted."""
        return sorted(self.models)

    def is_taken(self, model_id: str) -> bool:
        """Return whether the id has a meaning already."""
        return model_id in self.reserved or model_id in self.models or model_id in self.refused

    def at(self, real: str) -> Listed | None:
        """Return the model whose first file has this real path."""
        model_id = self.ids_by_file.get(real)
        return self.models[model_id] if model_id is not None else None

    def find_id(self, name: str) -> str | None:
        """Return the id that a name is, with or without the `.gguf` that people write behind it."""
        names = (name, name.removesuffix(".gguf"))
        return next((each for each in names if each in self.models or each in self.refused), None)

    def find_wanted(self, wanted: Wanted) -> Listed | None:
        """Return the model that a name of the Hub or of the table means; None where it is not here.

        Where every quantisation will do, that is the recommended one, else the first in the order of preference.
        """
        found = [listed for listed in self.models.values() if _is_meant(listed, wanted.reference)]
        recommended = wanted.known.quantisation if wanted.known else ""
        return min(found, key=lambda listed: _preference(listed, recommended), default=None)

    def of_repo(self, repo: str) -> list[str]:
        """Return the ids of the models of a repository, sorted."""
        return [model_id for model_id in self.ids if _is_of(self.models[model_id], repo)]


def _is_of(listed: Listed, repo: str) -> bool:
    return listed.reference is not None and listed.reference.repo.lower() == repo.lower()


def _is_meant(listed: Listed, wanted: HubReference) -> bool:
    if listed.reference is None or not _is_of(listed, wanted.repo):
        return False
    if wanted.revision not in {listed.reference.revision, listed.commit}:
        return False
    return wanted.tag is None or _has_tag(listed, wanted.tag)


def _has_tag(listed: Listed, tag: str) -> bool:
    file_name = listed.entry.files[0].name
    names = {file_name.lower(), (listed.reference.tag or "").lower() if listed.reference else ""}
    return same_label(listed.label, tag) or bool({tag.lower(), f"{tag.lower()}.gguf"} & names)


def _preference(listed: Listed, recommended: str) -> tuple[bool, int, int, str]:
    is_other = not same_label(listed.label, recommended)
    return is_other, rank(listed.label), listed.entry.size_bytes, listed.entry.id


def to_entry(
    model_id: str, inspected: Inspected, *, source: ModelSource, projector: Path | None = None
) -> ModelEntry:
    """Return the catalogue's entry for a model; the demo model describes itself. Looks at the projector's size."""
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
        source=source,
        files=inspected.files,
        projector=projector,
        projector_size_bytes=_size_of(projector),
        licence=header.licence,
    )


def _size_of(path: Path | None) -> int:
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


def describe_gone(model_id: str, path: Path) -> str:
    """Return what to say of an added file that is not there any more."""
    return f"{file_label(path)} is not where it was added from; put it back, or forget it with `puna rm {model_id}`."
