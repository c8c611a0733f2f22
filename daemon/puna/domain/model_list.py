"""The models of this machine, as they are told to who manages them."""

from msgspec import Struct

from puna.domain.model_kind import ModelKind
from puna.domain.model_tools import ModelTool
from puna.domain.models import ModelSource, ModelState


class ListedModel(Struct, frozen=True, kw_only=True):
    """One model that can run."""

    id: str
    """The name that requests use."""
    name: str
    """For people."""
    source: ModelSource
    state: ModelState
    size_bytes: int
    """Of all files, the projector's too."""
    kind: ModelKind
    quantisation: str
    parameter_count: int
    context_length: int
    """Tokens that the model was trained for; 0 where the file does not say."""
    architecture: str
    licence: str
    description: str
    modified_s: float
    """Seconds since 1970."""
    path: str | None
    """The first file; None for a remote model."""
    file_count: int
    has_projector: bool
    """Whether it takes images or sound."""
    can_think: bool
    can_call_tools: bool
    nicknames: tuple[str, ...] = ()
    """Further names that people gave it."""


class UnusableModel(Struct, frozen=True, kw_only=True):
    """A file that was found and cannot run."""

    id: str
    reason: str
    """A whole sentence."""
    is_broken: bool
    """Whether its owner should do something about it; files of other kinds are none of Puna's business."""


class OfferedFolder(Struct, frozen=True, kw_only=True):
    """A folder of another program that holds models and is not used; the setting `use_models_of` changes that."""

    tool: ModelTool
    folder: str
    model_count: int
    size_bytes: int


class ModelList(Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    models: tuple[ListedModel, ...]
    unusable: tuple[UnusableModel, ...] = ()
    offers: tuple[OfferedFolder, ...] = ()


class RemovedModel(Struct, frozen=True, kw_only=True):
    """What became of a model that was taken out of the list."""

    id: str
    freed_bytes: int
    """0 where the file is not Puna's to delete, and was only forgotten."""
    is_deleted: bool
    """Whether files are gone, and not only a name."""
