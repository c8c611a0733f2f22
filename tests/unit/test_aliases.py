"""The table of models with short names: that it is sound, and what names lead to."""

import re
from itertools import groupby
from pathlib import Path

import msgspec
import pytest

from puna.domain.models import ModelKind
from puna.hub.names import is_repo_id
from puna.hub.quantisations import RECOMMENDED
from puna.models.known import KnownModels, read_known_models
from puna.paths import Paths

TABLE = read_known_models(Paths.for_user().known_models)


def meaning(name: str, table: KnownModels = TABLE) -> tuple[str, str] | None:
    """Return which files a name accepts, and which it would download."""
    wanted = table.find(name)
    return None if wanted is None else (str(wanted.reference), str(wanted.download))


def test_the_table_is_sound() -> None:
    assert len(TABLE.models) >= 35
    for model in TABLE.models:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", model.name)
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", model.tag)
        assert is_repo_id(model.repo)
        assert all(is_repo_id(base) for base in model.bases)
        assert model.quantisation in RECOMMENDED
        assert re.fullmatch(r"[0-9.]+[MB]", model.parameters)
        assert re.fullmatch(r"[a-z0-9.-]+", model.licence)


def test_no_name_stands_for_two_models() -> None:
    for names in (
        TABLE.names,
        [model.repo.lower() for model in TABLE.models],
        [base.lower() for model in TABLE.models for base in model.bases],
    ):
        assert len(set(names)) == len(names)


def test_every_name_alone_means_one_of_its_tags() -> None:
    for name, family in groupby(TABLE.models, key=lambda model: model.name):
        members = list(family)
        defaults = [model for model in members if model.is_default]
        assert len(defaults) == 1 or len(members) == 1, name
        assert len(defaults) == 1, name


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("llama3.2:1b", "bartowski/Llama-3.2-1B-Instruct-GGUF"),
        ("microsoft/phi-2", "TheBloke/phi-2-GGUF"),
        ("meta-llama/Llama-2-7b-chat-hf", "TheBloke/Llama-2-7B-Chat-GGUF"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"),
    ],
)
def test_the_names_of_the_documents_lead_to_files(name: str, repo: str) -> None:
    assert meaning(name) == (repo, f"{repo}:Q4_K_M")


@pytest.mark.parametrize(
    ("name", "accepted", "downloaded"),
    [
        ("llama2", "", ":Q4_K_M"),
        ("llama2:latest", "", ":Q4_K_M"),
        ("LLAMA2:7B", "", ":Q4_K_M"),
        ("llama2:7b-chat", "", ":Q4_K_M"),
        ("llama2:7b-q4_K_M", ":Q4_K_M", ":Q4_K_M"),
        ("llama2:7b-chat-q8_0", ":Q8_0", ":Q8_0"),
        ("llama2:chat-fp16", ":F16", ":F16"),
        ("llama2:q5_k_m", ":Q5_K_M", ":Q5_K_M"),
    ],
)
def test_tags_are_read_as_ollama_writes_them(name: str, accepted: str, downloaded: str) -> None:
    repo = "TheBloke/Llama-2-7B-Chat-GGUF"
    assert meaning(name) == (repo + accepted, repo + downloaded)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":",
        "llama2:70b",
        "llama2:7b-q99",
        "llama2:7b-code-q4_0",
        "llama2:7b-",
        "demo",
        "a/b/c",
        "/llama2",
        "../x",
    ],
)
def test_other_names_mean_nothing(name: str) -> None:
    assert meaning(name) is None


def test_names_of_the_hub_need_no_table() -> None:
    empty = KnownModels()
    assert meaning("org/repo", empty) == ("org/repo", "org/repo")
    assert meaning("org/repo:latest", empty) == ("org/repo", "org/repo")
    assert meaning("hf.co/org/repo:Q8_0", empty) == ("org/repo:Q8_0", "org/repo:Q8_0")
    assert meaning("org/repo:Q8_0@v1", empty) == ("org/repo:Q8_0@v1", "org/repo:Q8_0@v1")


def test_a_repository_of_the_table_is_recommended_in_its_quantisation() -> None:
    assert meaning("qwen/qwen3-0.6b-gguf") == ("qwen/qwen3-0.6b-gguf", "qwen/qwen3-0.6b-gguf:Q8_0")
    assert meaning("microsoft/phi-2:Q8_0") == ("TheBloke/phi-2-GGUF:Q8_0", "TheBloke/phi-2-GGUF:Q8_0")
    assert meaning("microsoft/phi-2@v1") == ("microsoft/phi-2@v1", "microsoft/phi-2@v1")


def test_models_that_write_no_text_are_marked() -> None:
    kinds = {model.name: model.kind for model in TABLE.models}
    assert kinds["bge-m3"] is ModelKind.EMBEDDING
    assert kinds["bge-reranker-v2-m3"] is ModelKind.RERANKER
    assert kinds["llama3.2"] is ModelKind.TEXT


@pytest.mark.parametrize(
    "content", ["models = 5", "[[models]]\nname = 'x'", "[[models]]\nnames = 'x'", "[[models"]
)
def test_a_broken_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "models.toml").write_text(content)
    with pytest.raises(msgspec.MsgspecError):
        read_known_models(tmp_path / "models.toml")
