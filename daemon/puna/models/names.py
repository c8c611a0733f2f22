"""Names of models: ids from paths, paths from requests, and what to say about unknown ones."""

import difflib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PureWindowsPath

from puna.domain.part_names import parse_part_name
from puna.errors import ModelLoadError
from puna.models.gguf.defect import quote
from puna.models.header import ModelHeader
from puna.models.known import Wanted

MAX_NAME_CHARACTERS = 4_096
_MAX_COMPARED_IDS = 2_000
_MAX_SUGGESTIONS = 3


def id_candidates(path: Path, folder: Path) -> list[str]:
    """Return ids for a file in a model folder, the best first: its path in the folder without `.gguf`."""
    inside = path.relative_to(folder)
    stems = [model_stem(path), path.name[: -len(path.suffix)]]
    ids = [(inside.parent / stem).as_posix() for stem in dict.fromkeys(stems)]
    return ids + [f"{folder.name}/{candidate}" for candidate in ids if folder.name]


def model_stem(path: Path) -> str:
    """Return the file name without `.gguf` and without the number of a part."""
    part = parse_part_name(path.name)
    return path.stem if part is None or part.count == 1 else part.stem


def choose_id(candidates: Sequence[str], is_taken: Callable[[str], bool]) -> str:
    """Return the first candidate that is free, or the first one with a number behind it."""
    for candidate in candidates:
        if not is_taken(candidate):
            return candidate
    number = 2
    while is_taken(f"{candidates[0]}~{number}"):
        number += 1
    return f"{candidates[0]}~{number}"


def is_presentable(name: str) -> bool:
    """Return whether a name can travel in JSON and stand in a list: valid text without control characters."""
    return name.isprintable() and not any("\ud800" <= character <= "\udfff" for character in name)


def path_in(name: str, *, is_windows: bool = sys.platform == "win32") -> Path | None:
    """Return the path that a request names, absolute or from the home folder; None where the name is no path.

    Raises `ModelLoadError` for a Windows network path: merely opening one sends the user's credentials there.
    """
    if not name or len(name) > MAX_NAME_CHARACTERS or "\0" in name:
        return None
    if is_windows and PureWindowsPath(name).drive.startswith("\\\\"):
        raise ModelLoadError(
            "Files on network shares cannot be named in a request; add the folder to model_folders."
        )
    path = Path(name)
    if name.startswith(("~/", "~\\") if is_windows else "~/"):
        try:
            path = path.expanduser()
        except RuntimeError:
            return None
    return path if path.is_absolute() else None


def is_path(name: str) -> bool:
    """Return whether a request names a file by its path, one that it may not name included."""
    try:
        return path_in(name) is not None
    except ModelLoadError:
        return True


def parse_aliases(lines: Sequence[str]) -> dict[str, str]:
    """Return what each alias stands for, from lines such as `llama3.2:1b=demo`."""
    return dict(line.split("=", 1) for line in lines)


def describe_unknown(name: str, ids: Sequence[str], known: Sequence[str] = ()) -> str:
    """Return what to say about a name that is no model: the nearest of ids and of known names, and what to do."""
    near = _nearest(name, [*ids[:_MAX_COMPARED_IDS], *known], cutoff=0.5)
    if near:
        return f"There is no model {quote(name)}. Did you mean {_either(near)}?"
    advice = (
        "Get one with `puna pull`, give the path of a GGUF file, or put the file in one of the model folders."
    )
    if not ids:
        return f"There is no model {quote(name)}. {advice}"
    more = f" and {len(ids) - _MAX_SUGGESTIONS} more" if len(ids) > _MAX_SUGGESTIONS else ""
    listed = ", ".join(f"'{listed}'" for listed in ids[:_MAX_SUGGESTIONS])
    verb = "is" if len(ids) == 1 else "are"
    return f"There is no model {quote(name)}. There {verb} {listed}{more}. {advice}"


def describe_absent(name: str, wanted: Wanted, have: Sequence[str], ids: Sequence[str]) -> str:
    """Return what to say about a model that can be downloaded: how, what it is, and what is here instead.

    `have` are the ids of the same repository, `ids` all of them.
    """
    known = wanted.known
    facts = ""
    if known is not None:
        label = wanted.download.tag or known.quantisation
        facts = f" ({known.repo} in {label}, {known.parameters} parameters, licence {known.licence})"
    sentence = f"{quote(name)} is not on this machine yet; get it with `puna pull {name}`{facts}."
    if have:
        return f"{sentence} Of the same repository there is {_either(have[:_MAX_SUGGESTIONS])}."
    near = [] if known else _nearest(name, ids[:_MAX_COMPARED_IDS], cutoff=0.75)
    return f"{sentence} Or did you mean {_either(near)}?" if near else sentence


def _nearest(name: str, names: Sequence[str], *, cutoff: float) -> list[str]:
    return difflib.get_close_matches(name[:200], names, n=_MAX_SUGGESTIONS, cutoff=cutoff)


def _either(ids: Sequence[str]) -> str:
    quoted = [f"'{known}'" for known in ids]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def describe_model(header: ModelHeader, parameter_count: int) -> str:
    """Return one line about a model: `llama, 1.2B parameters, Q4_K_M`."""
    parts = [header.architecture, f"{_short(parameter_count)} parameters", header.quantisation]
    return ", ".join(part for part in parts if part)


def _short(count: int) -> str:
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)
