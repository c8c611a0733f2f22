"""The folders of other programs: where they are on each system, whether they are used, and how they are offered."""

import json
from pathlib import Path

import pytest

from fakes.gguf_files import model_file, split_files
from puna.config import Settings
from puna.domain.model_tools import ModelTool
from puna.domain.models import ModelSource
from puna.models.added import AddedFiles
from puna.models.assembly import open_catalogue
from puna.models.catalogue import LocalCatalogue
from puna.models.tool_folders import find_offers, tool_folder
from puna.paths import Paths
from puna.state import StateFile

DEMO = Paths.for_user().demo_model
LM_STUDIO, LLAMA_CPP = ModelTool.LM_STUDIO, ModelTool.LLAMA_CPP


def lm_studio(home: Path) -> Path:
    return tool_folder(LM_STUDIO, environ={}, home=home, platform="linux")


def llama_cpp(home: Path, platform: str, **environ: str) -> Path:
    return tool_folder(LLAMA_CPP, environ=environ, home=home, platform=platform)


def test_llama_cpp_has_a_folder_of_its_own_on_each_system(tmp_path: Path) -> None:
    assert llama_cpp(tmp_path, "linux") == tmp_path / ".cache" / "llama.cpp"
    assert llama_cpp(tmp_path, "linux", XDG_CACHE_HOME=str(tmp_path / "x")) == tmp_path / "x" / "llama.cpp"
    assert llama_cpp(tmp_path, "darwin") == tmp_path / "Library" / "Caches" / "llama.cpp"
    assert llama_cpp(tmp_path, "win32") == tmp_path / "AppData" / "Local" / "llama.cpp"
    assert llama_cpp(tmp_path, "win32", LOCALAPPDATA=str(tmp_path / "l")) == tmp_path / "l" / "llama.cpp"
    assert llama_cpp(tmp_path, "darwin", LLAMA_CACHE=str(tmp_path / "own")) == tmp_path / "own"


def test_lm_studio_is_found_as_it_finds_itself(tmp_path: Path) -> None:
    assert lm_studio(tmp_path) == tmp_path / ".lmstudio" / "models"
    (tmp_path / ".cache" / "lm-studio").mkdir(parents=True)
    assert lm_studio(tmp_path) == tmp_path / ".cache" / "lm-studio" / "models"
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'pointed'}\n")
    assert lm_studio(tmp_path) == tmp_path / "pointed" / "models"


def test_lm_studios_own_setting_counts(tmp_path: Path) -> None:
    settings = tmp_path / ".lmstudio" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"downloadsFolder": str(tmp_path / "big disk"), "other": 5}))
    assert lm_studio(tmp_path) == tmp_path / "big disk"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"downloadsFolder": 5}', '{"downloadsFolder": "relative"}', "\0"]
)
def test_unreadable_files_of_lm_studio_leave_the_usual_folder(tmp_path: Path, content: str) -> None:
    settings = tmp_path / ".lmstudio" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(content)
    (tmp_path / ".lmstudio-home-pointer").write_text(content)
    assert lm_studio(tmp_path) == tmp_path / ".lmstudio" / "models"


def test_folders_that_hold_models_are_offered_with_what_is_in_them(tmp_path: Path) -> None:
    folders = {LM_STUDIO: tmp_path / "lm", LLAMA_CPP: tmp_path / "empty"}
    paths = [
        model_file().write(tmp_path / "lm" / "org" / "repo" / f"m-{label}.gguf")
        for label in ("Q4_K_M", "Q8_0")
    ]
    paths += [
        part.write(tmp_path / "lm" / "org" / "big" / f"big-{index:05d}-of-00002.gguf")
        for index, part in enumerate(split_files(2), start=1)
    ]
    model_file().write(tmp_path / "lm" / "org" / "repo" / "mmproj-F16.gguf")
    (tmp_path / "empty").mkdir()
    (offer,) = find_offers([], folders)
    assert (offer.tool, offer.folder, offer.model_count) == (LM_STUDIO, tmp_path / "lm", 3)
    assert offer.size_bytes == sum(path.stat().st_size for path in paths)


def test_what_is_used_already_is_not_offered(tmp_path: Path) -> None:
    model_file().write(tmp_path / "all" / "lm" / "m.gguf")
    folders = {LM_STUDIO: tmp_path / "all" / "lm"}
    assert find_offers([tmp_path / "other"], folders)
    assert not find_offers([tmp_path / "all"], folders)
    assert not find_offers([tmp_path / "all" / "lm"], folders)


async def test_a_setting_says_whether_they_are_used(tmp_path: Path) -> None:
    folders = {LM_STUDIO: tmp_path / "lm", LLAMA_CPP: tmp_path / "lc"}
    model_file().write(tmp_path / "lm" / "org" / "repo" / "m-Q8_0.gguf")
    model_file().write(tmp_path / "lc" / "org_repo_n-Q8_0.gguf")
    offered = await LocalCatalogue(DEMO, tool_folders=folders).overview()
    assert [entry.id for entry in offered.models] == ["demo"]
    assert [offer.tool for offer in offered.offers] == [LM_STUDIO, LLAMA_CPP]
    used = await LocalCatalogue(DEMO, tool_folders=folders, used_tools=[LM_STUDIO]).overview()
    assert [(entry.id, entry.source) for entry in used.models[1:]] == [
        ("org/repo/m-Q8_0", ModelSource.LM_STUDIO)
    ]
    assert [offer.tool for offer in used.offers] == [LLAMA_CPP]


async def test_the_daemons_catalogue_is_made_from_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "lc"))
    model_file().write(tmp_path / "lc" / "one.gguf")
    model_file().write(tmp_path / "folder" / "two.gguf")
    settings = Settings(model_folders=(tmp_path / "folder",), use_models_of=(LLAMA_CPP,))
    added = AddedFiles(StateFile(tmp_path / "state.json"), {})
    models = open_catalogue(settings, Paths.under(tmp_path), {}, added, hub_cache=tmp_path / "hub")
    assert [entry.id for entry in await models.entries()] == ["demo", "one", "two"]
    assert models.hub_name("llama3.2:1b") == "bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M"
