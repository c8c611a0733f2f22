"""Where other programs keep their GGUF files, and what lies there. Nothing is ever written to these folders."""

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from puna.domain.model_tools import ModelTool
from puna.domain.part_names import parse_part_name
from puna.models.projectors import is_projector_name
from puna.models.walk import find_files

_MAX_FILE_BYTES = 1024 * 1024
_POINTER = ".lmstudio-home-pointer"


class FolderOffer(Struct, frozen=True, kw_only=True):
    """A folder of another program that holds models and is not used."""

    tool: ModelTool
    folder: Path
    model_count: int
    size_bytes: int


class _LmStudioSettings(Struct, frozen=True, rename="camel"):
    downloads_folder: str = ""


def tool_folder(
    tool: ModelTool,
    *,
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
    platform: str = sys.platform,
) -> Path:
    """Return where a program keeps its models, whether or not it is there. Reads small files."""
    home = home or Path.home()
    if tool is ModelTool.LM_STUDIO:
        return _lm_studio_folder(home)
    return _llama_cpp_folder(environ, home, platform)


def _lm_studio_folder(home: Path) -> Path:
    """Return `downloadsFolder` of LM Studio's settings, else `models` in its home.

    Its home is found as its own command line finds it (`findLMStudioHome` in lmstudio-js): what the pointer file
    says, else the folder of old versions where that exists, else `~/.lmstudio`; the same on all systems.
    """
    pointed = _text_of(home / _POINTER).strip()
    old = home / ".cache" / "lm-studio"
    base = _absolute(pointed) or (old if old.is_dir() else home / ".lmstudio")
    try:
        settings = msgspec.json.decode(_text_of(base / "settings.json") or "{}", type=_LmStudioSettings)
    except msgspec.MsgspecError:
        settings = _LmStudioSettings()
    return _absolute(settings.downloads_folder) or base / "models"


def _llama_cpp_folder(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    """Return the folder of llama.cpp's `-hf` downloads, as `fs_get_cache_directory` in its common.cpp finds it.

    Newer versions download to the Hub's cache, which Puna reads in any case.
    """
    if environ.get("LLAMA_CACHE"):
        return Path(environ["LLAMA_CACHE"]).expanduser().absolute()
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "llama.cpp"


def find_offers(used: Collection[Path], folders: Mapping[ModelTool, Path]) -> tuple[FolderOffer, ...]:
    """Return the folders that hold models and are not used, not even as a part of a folder that is. Blocks."""
    real = {Path(os.path.realpath(folder)) for folder in used}
    offers = []
    for tool, folder in folders.items():
        place = Path(os.path.realpath(folder))
        if not real & {place, *place.parents} and (offer := _look_into(tool, folder)):
            offers.append(offer)
    return tuple(offers)


def _look_into(tool: ModelTool, folder: Path) -> FolderOffer | None:
    models: set[str] = set()
    size_bytes = 0
    for path in find_files(folder):
        if is_projector_name(path.name):
            continue
        part = parse_part_name(path.name)
        models.add(str(path if part is None else path.with_name(part.sibling(1))))
        size_bytes += _size_of(path)
    if not models:
        return None
    return FolderOffer(tool=tool, folder=folder, model_count=len(models), size_bytes=size_bytes)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _absolute(text: str) -> Path | None:
    path = Path(text)
    return path if text and "\0" not in text and path.is_absolute() else None


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES).decode(errors="replace")
    except OSError:
        return ""
