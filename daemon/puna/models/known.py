"""Models that Puna knows by short names, also before they are on this machine: the table assets/models.toml. Pure."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from puna.domain.models import ModelKind
from puna.hub.names import DEFAULT_REVISION, HubReference, parse_reference
from puna.hub.quantisations import label_of

_LATEST = "latest"
_SILENT_WORDS = frozenset({"instruct", "chat", "it", "text"})
"""Words in Ollama's tags that say which variant a model is; the table has these variants only."""


class KnownModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the table; what the fields mean is written at its top."""

    name: str
    tag: str
    repo: str
    quantisation: str
    parameters: str
    licence: str
    bases: tuple[str, ...] = ()
    kind: ModelKind = ModelKind.TEXT
    is_default: bool = False

    @property
    def full_name(self) -> str:
        """The name that leads to this model and no other: `llama3.2:1b`."""
        return f"{self.name}:{self.tag}"


class Wanted(Struct, frozen=True):
    """What a name means on the Hub."""

    reference: HubReference
    """Without a tag every quantisation will do."""
    known: KnownModel | None = None
    """What the table knows of it."""

    @property
    def download(self) -> HubReference:
        """What to download: with the recommended quantisation where the name asks for none."""
        if self.known is None or self.reference.tag:
            return self.reference
        return replace(self.reference, tag=self.known.quantisation)

    def at(self, commit: str | None) -> "Wanted":
        """Return the same at the commit that its branch or tag stands for; unchanged where that is not known."""
        return replace(self, reference=replace(self.reference, revision=commit)) if commit else self


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    models: tuple[KnownModel, ...]


class KnownModels:
    """The table, and what names mean."""

    def __init__(self, models: Sequence[KnownModel] = ()) -> None:
        self.models = tuple(models)
        self._by_repo = {model.repo.lower(): model for model in models}
        self._by_base = {base.lower(): model for model in models for base in model.bases}
        self._families: dict[str, list[KnownModel]] = {}
        for model in models:
            self._families.setdefault(model.name, []).append(model)

    @property
    def names(self) -> tuple[str, ...]:
        """All short names with their tags."""
        return tuple(model.full_name for model in self.models)

    def find(self, name: str) -> Wanted | None:
        """Return what a name means: `llama3.2:1b`, `llama3.2:1b-q8_0`, `org/repo`, `org/repo:Q4_K_M`.

        None where it is neither in the table nor of the Hub's form. The repository of original weights leads to
        that of the GGUF files, where the table knows both.
        """
        if "/" not in name:
            return self._find_short(name)
        reference = parse_reference(name)
        if reference is None:
            return None
        repo = reference.repo.lower()
        based = self._by_base.get(repo)
        if based is not None and reference.revision == DEFAULT_REVISION:
            return Wanted(HubReference(based.repo, reference.tag), based)
        return Wanted(reference, self._by_repo.get(repo))

    def _find_short(self, name: str) -> Wanted | None:
        family, _, tag = name.lower().partition(":")
        members = self._families.get(family, [])
        default = next((model for model in members if model.is_default), None)
        for model in members:
            label = _label_in(tag, model.tag)
            if label is not None:
                return Wanted(HubReference(model.repo, label or None), model)
        label = "" if tag in {"", _LATEST} else _label_in(f"-{tag}", "")
        if default is None or label is None:
            return None
        return Wanted(HubReference(default.repo, label or None), default)


def _label_in(tag: str, model_tag: str) -> str | None:
    """Return the quantisation that a tag asks for behind the model's own, such as `7b-chat-q4_K_M`.

    Empty where it asks for none; None where it is no tag of this model.
    """
    if tag == model_tag:
        return ""
    if not tag.startswith(f"{model_tag}-"):
        return None
    words = [word for word in tag[len(model_tag) + 1 :].split("-") if word not in _SILENT_WORDS]
    if not words:
        return ""
    return (label_of(words[0]) or None) if len(words) == 1 else None


def read_known_models(path: Path) -> KnownModels:
    """Return the table in a file. Blocks; a damaged one raises `OSError` or `msgspec.MsgspecError`."""
    return KnownModels(msgspec.toml.decode(path.read_bytes(), type=_Table).models)
