"""Adapters merged with their bases into models of their own."""

from enum import StrEnum

from msgspec import Struct


class MergedType(StrEnum):
    """How the matrices of a merged model are stored, where not as those of its base."""

    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"
    Q8_0 = "Q8_0"
    Q6_K = "Q6_K"
    Q5_K = "Q5_K"
    Q5_1 = "Q5_1"
    Q5_0 = "Q5_0"
    Q4_K = "Q4_K"
    Q4_1 = "Q4_1"
    Q4_0 = "Q4_0"


class MergeOrder(Struct, frozen=True, kw_only=True):
    """What to merge and where to."""

    parts: tuple[str, ...]
    """Paths of the base's files, in order; one unless it is split."""
    base_sha256: str
    """Of the first of them, as the adapter's record has it: an adapter fits no other model."""
    adapter: str
    """Path of the adapter's file."""
    target: str
    """Path of the file to make; there must be none."""
    partial: str
    """Path of what is written meanwhile, in the same folder."""
    name: str
    """The adapter's name, for people; the merged model's is that of the base and this."""
    type: MergedType | None = None
    """None keeps the type of every tensor of the base."""
    metadata: dict[str, str] = {}
    """Further texts for the header."""


class MergePhase(StrEnum):
    """What is being done."""

    CHECKING = "checking"
    """Whether the base is the one that the adapter was trained on."""
    WRITING = "writing"


class MergeProgress(Struct, frozen=True, kw_only=True):
    """How far it is."""

    phase: MergePhase
    done_bytes: int
    total_bytes: int
    """Of this phase."""


class MergeResult(Struct, frozen=True, kw_only=True):
    """What came of it."""

    path: str
    size_bytes: int
    quantisation: str
    """Such as `Q8_0`, as `general.file_type` names it; empty where the base does not say."""
    changed_tensors: int


class ExportEvent(Struct, frozen=True, kw_only=True):
    """How far an export is, as the control API tells it."""

    phase: str
    """`checking` (whether the base is the one that the adapter was trained on), `writing`, `done`."""
    done_bytes: int
    total_bytes: int
    """Of this phase."""
    result: MergeResult | None = None
    """What came of it, in the last event."""
