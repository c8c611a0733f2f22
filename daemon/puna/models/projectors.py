"""Which projector (`mmproj`), the image or sound side of a multimodal model, belongs to which model."""

import os
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from msgspec import Struct

from puna.domain.part_names import parse_part_name
from puna.errors import ModelLoadError
from puna.models.header import GgufKind, ModelHeader
from puna.models.inspection import Inspector

_MARK = "mmproj"
_QUANTISATION = re.compile(
    r"(?:^|[-_.])(?:ud-)?(?:i?q[1-8](?:_[a-z0-9]+)*|tq[12]_0|mxfp4(?:_moe)?|nvfp4|bf16|fp?16|fp?32)(?=$|[-_.])"
)
_SEPARATORS = re.compile(r"[-_. ]+")
_ANY_MODEL = frozenset({"", "model"})
"""What is left of a projector's name that names no model, such as `mmproj-model-f16.gguf`."""


class Projector(Struct, frozen=True):
    """A projector beside a model."""

    name: str
    length: int = 0
    """Components of the vectors that it hands to the model; 0 where its header does not say."""


def is_projector_name(file_name: str) -> bool:
    """Return whether a file calls itself a projector, as llama.cpp and the Hub's repositories do."""
    return _MARK in file_name.lower()


def model_of_name(file_name: str) -> str:
    """Return what a file's name tells of its model: without quantisation, part number and `mmproj`."""
    part = parse_part_name(file_name)
    stem = (part.stem if part else file_name.rpartition(".")[0]).lower().replace(_MARK, "-")
    return _SEPARATORS.sub("-", _QUANTISATION.sub("-", stem)).strip("-")


def choose_projector(
    model_name: str, embedding_length: int, models_beside: AbstractSet[str], projectors: Sequence[Projector]
) -> str | None:
    """Return the file name of the projector that belongs to a model; None where none does.

    `models_beside` are all models in the folder, as `model_of_name` tells them.
    First the one with the model's own name. One that names no model belongs to the only model beside it, or to
    those whose vectors are as long as its own. Of several that would do, 16 bits are taken before 8 and 32.
    """
    model = model_of_name(model_name)
    is_alone = models_beside <= {model}

    def fits(projector: Projector) -> bool:
        named = model_of_name(projector.name)
        if named not in _ANY_MODEL:
            return named == model
        return is_alone or 0 < projector.length == embedding_length

    suitable = [projector.name for projector in projectors if fits(projector)]
    return min(suitable, key=lambda name: (model_of_name(name) != model, _rank(name)), default=None)


def _rank(file_name: str) -> tuple[int, str]:
    words = _SEPARATORS.split(file_name.lower().removesuffix(".gguf"))
    kinds = ("f16", "fp16", "bf16", "q8", "f32", "fp32")
    return next((number for number, kind in enumerate(kinds) if kind in words), len(kinds)), file_name


class _Beside(Struct, frozen=True):
    """What lies in a folder."""

    models: frozenset[str]
    """The models, as `model_of_name` tells them."""
    projectors: Sequence[Projector]


class ProjectorFinder:
    """Finds projectors beside models; looks at each folder once. For one look; blocks on the disk."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._beside: dict[Path, _Beside] = {}

    def find(self, model: Path, header: ModelHeader) -> Path | None:
        """Return the projector of a model file; None where it has none, or a broken one."""
        folder = model.parent
        if folder not in self._beside:
            self._beside[folder] = self._look_into(folder)
        beside = self._beside[folder]
        if not beside.projectors:
            return None
        chosen = choose_projector(model.name, header.embedding_length, beside.models, beside.projectors)
        return model.with_name(chosen) if chosen else None

    def _look_into(self, folder: Path) -> "_Beside":
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except OSError:
            names = []
        names = [name for name in names if name.lower().endswith(".gguf")]
        called = [name for name in names if is_projector_name(name) and not name.startswith(".")]
        return _Beside(
            models=frozenset(model_of_name(name) for name in names if not is_projector_name(name)),
            projectors=[projector for name in called if (projector := self._look_at(folder / name))],
        )

    def _look_at(self, path: Path) -> Projector | None:
        try:
            header = self._inspector.read_header(path)
        except (FileNotFoundError, ModelLoadError):
            return None
        return Projector(path.name, header.projection_length) if header.kind is GgufKind.PROJECTOR else None
