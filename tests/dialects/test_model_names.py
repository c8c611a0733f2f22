"""A key that may only infer learns nothing of the files on this disk."""

from pathlib import Path

import aiohttp
import pytest

from fakes.gguf_files import model_file
from puna.api import model_names
from puna.api.model_names import check_model_name
from puna.errors import ModelNotFoundError
from puna.keys.identity import LOCAL, Identity, Scope

REQUESTS: dict[str, dict[str, object]] = {
    "/api/generate": {"model": "?", "prompt": "x"},
    "/api/chat": {"model": "?", "messages": [{"role": "user", "content": "x"}]},
    "/api/embed": {"model": "?", "input": "x"},
    "/api/show": {"model": "?"},
    "/v1/aitextgen/generate": {"model": "?", "prompt": "x"},
    "/v1/completions": {"model_name": "?", "prompt": "x"},
    "/v3/streaming_completions": {"model_name": "?", "prompt": "x"},
}


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("exists", [True, False])
async def test_a_path_is_no_model_whether_or_not_the_file_is_there(
    keyed: aiohttp.ClientSession, tmp_path: Path, path: str, exists: bool
) -> None:
    file = tmp_path / "secret.gguf"
    if exists:
        model_file().write(file)
    body = {name: str(file) if value == "?" else value for name, value in REQUESTS[path].items()}
    async with keyed.post(path, json=body) as response:
        assert response.status == 404
        assert "no such model" in await response.text()


def test_ids_pass_and_so_do_the_paths_of_those_who_manage() -> None:
    reader = Identity(scopes=frozenset({Scope.INFER}))
    manager = Identity(scopes=frozenset({Scope.MANAGE}))
    check_model_name("llama3.2:1b", reader)
    check_model_name(None, reader)
    check_model_name(str(Path("/x.gguf").absolute()), manager)
    check_model_name(str(Path("/x.gguf").absolute()), LOCAL)
    with pytest.raises(ModelNotFoundError):
        check_model_name("~/x.gguf", reader)


def test_dialects_reach_models_through_one_door() -> None:
    """So that none forgets the check; loading and unloading by name ask for the scope manage by their routes."""
    folder = Path(model_names.__file__).parent
    others = [file for file in folder.rglob("*.py") if file != Path(model_names.__file__)]
    text = "".join(file.read_text(encoding="utf-8") for file in others)
    assert ".residency.acquire(" not in text
    assert ".catalogue.find(" not in text
