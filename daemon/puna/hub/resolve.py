"""Which files of a repository a name means: pure, over what the Hub tells."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from puna.domain.part_names import parse_part_name
from puna.errors import ModelNotFoundError
from puna.hub.names import HubReference
from puna.hub.quantisations import by_preference, label_of, recommend, same_label
from puna.hub.records import RepoFile, RepoInfo

_SUFFIX = ".gguf"
_NOT_MODELS = ("imatrix", "ggml-vocab")


class Variant(Struct, frozen=True, kw_only=True):
    """One way to have a model: all its files, in order, the projection for images and sound apart."""

    label: str
    """The quantisation, such as `Q4_K_M`; empty where no name tells."""
    files: tuple[RepoFile, ...]
    """One, or all parts of a split model."""
    is_complete: bool = True
    """False where parts are missing in the repository."""

    @property
    def size_bytes(self) -> int:
        """Of all files; 0 where the Hub does not say."""
        return sum(file.size_bytes or 0 for file in self.files)

    @property
    def name(self) -> str:
        """The name of its first file."""
        return self.files[0].name


class Choice(Struct, frozen=True, kw_only=True):
    """What to download."""

    repo: str
    revision: str
    """What was asked for, such as `main`."""
    commit: str
    label: str
    files: tuple[RepoFile, ...]
    """The model's own files first, in order, then its projection where there is one."""

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes or 0 for file in self.files)

    @property
    def name(self) -> str:
        """The name under which requests know it: `org/repo:Q4_K_M`."""
        tag = self.label or self.files[0].name
        return str(HubReference(self.repo, tag, self.revision))


def is_projection(file_name: str) -> bool:
    """Return whether this is a projection file (`mmproj`), which belongs to a model and runs with it only."""
    name = file_name.rpartition("/")[2].lower()
    return name.endswith(_SUFFIX) and "mmproj" in name


def is_model_file(file_name: str) -> bool:
    """Return whether this is a model, or a part of one, by its name."""
    name = file_name.rpartition("/")[2].lower()
    return name.endswith(_SUFFIX) and "mmproj" not in name and not any(word in name for word in _NOT_MODELS)


def variants_of(files: Sequence[RepoFile]) -> tuple[Variant, ...]:
    """Return the models in a repository, those in parts as one each, the recommended quantisation first."""
    groups: dict[str, list[RepoFile]] = {}
    for file in files:
        if is_model_file(file.name):
            groups.setdefault(_group_of(file.name), []).append(file)
    variants = [_variant(group) for group in groups.values()]
    order = {label: number for number, label in enumerate(by_preference({each.label for each in variants}))}
    return tuple(sorted(variants, key=lambda each: (not each.is_complete, order[each.label], each.name)))


def _group_of(file_name: str) -> str:
    """Return what the parts of a split model have in common."""
    folder, _, name = file_name.rpartition("/")
    part = parse_part_name(name)
    return file_name if part is None else f"{folder}/{part.sibling(1)}"


def _variant(group: Sequence[RepoFile]) -> Variant:
    files = tuple(sorted(group, key=lambda file: file.name))
    part = parse_part_name(files[0].name.rpartition("/")[2])
    count = part.count if part else 1
    return Variant(label=label_of(files[0].name), files=files, is_complete=len(files) == count)


def projection_of(files: Sequence[RepoFile], variant: Variant) -> RepoFile | None:
    """Return the projection file that belongs to a model; None where the repository has none.

    Of several, the one in the model's own folder, then that of 16 bits: it is small, and loses the most by less.
    """
    folder = variant.name.rpartition("/")[0]
    found = [file for file in files if is_projection(file.name)]
    return min(found, key=lambda file: _projection_rank(file.name, folder), default=None)


def _projection_rank(file_name: str, folder: str) -> tuple[bool, int, str]:
    labels = ("F16", "BF16", "Q8_0", "F32")
    label = label_of(file_name)
    rank = labels.index(label) if label in labels else len(labels)
    return (file_name.rpartition("/")[0] != folder, rank, file_name)


def choose(info: RepoInfo, wanted: HubReference, *, memory_bytes: int | None = None) -> Choice:
    """Return the files that a name means in a repository that has GGUF files.

    Without a tag that is the recommended quantisation, the first that fits where memory is known. Raises
    `ModelNotFoundError`, which lists what there is.
    """
    variants = [each for each in variants_of(info.files) if each.is_complete]
    if not variants:
        raise ModelNotFoundError(f"The repository {info.id} has no GGUF files; try a GGUF conversion of it.")
    variant = _pick(variants, wanted, memory_bytes)
    projection = projection_of(info.files, variant)
    return Choice(
        repo=info.id,
        revision=wanted.revision,
        commit=info.commit,
        label=variant.label if first_of_labels(variants).get(variant.label) is variant else "",
        files=variant.files + ((projection,) if projection else ()),
    )


def _pick(variants: Sequence[Variant], wanted: HubReference, memory_bytes: int | None) -> Variant:
    if wanted.tag is None:
        return variants[recommend([(each.label, each.size_bytes) for each in variants], memory_bytes)]
    for is_meant in (_is_named, _is_quantised):
        for variant in variants:
            if is_meant(variant, wanted.tag):
                return variant
    have = ", ".join(dict.fromkeys(each.label or each.name for each in variants))
    raise ModelNotFoundError(f"{wanted.repo} has no {wanted.tag}; it has {have}.")


def _is_named(variant: Variant, tag: str) -> bool:
    names = {file.name.lower() for file in variant.files}
    names |= {name.rpartition("/")[2] for name in names}
    return bool({tag.lower(), f"{tag.lower()}{_SUFFIX}"} & names)


def _is_quantised(variant: Variant, tag: str) -> bool:
    return bool(variant.label) and same_label(variant.label, tag)


def first_of_labels(variants: Sequence[Variant]) -> Mapping[str, Variant]:
    """Return the variant that each label leads to; without a label, none."""
    return {each.label: each for each in reversed(variants) if each.label}


def name_of(repo: str, variant: Variant, firsts: Mapping[str, Variant]) -> str:
    """Return the name that leads to this variant of a repository: by its quantisation, else by its file.

    `firsts` are the `first_of_labels` of the repository.
    """
    is_first = firsts.get(variant.label) is variant
    return str(HubReference(repo, variant.label if is_first else variant.name))


def has_models(info: RepoInfo) -> bool:
    """Return whether a repository has GGUF models at all; where it has none, its conversions may."""
    return has_model_files(file.name for file in info.files)


def has_model_files(names: Iterable[str]) -> bool:
    """Return whether any of these files is a model, by its name."""
    return any(map(is_model_file, names))


def rank_conversions(base: str, found: Sequence[RepoInfo]) -> list[RepoInfo]:
    """Return the repositories with GGUF conversions of a base model, the one to take first.

    The maker's own come first, then those that are downloaded most; gated and private ones last.
    """
    maker, _, model = base.partition("/")
    return sorted(
        found,
        key=lambda each: (
            each.is_gated or each.is_private,
            each.id.partition("/")[0].lower() != maker.lower(),
            model.lower() not in each.id.lower(),
            -each.downloads,
            each.id,
        ),
    )
