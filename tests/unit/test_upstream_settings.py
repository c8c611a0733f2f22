"""Remote models in the settings, and where their keys come from."""

from pathlib import Path

import pytest

from puna.config import load
from puna.config.editing import set_value
from puna.config.remote_models import read_remote_models
from puna.config.values import show
from puna.domain.models import ModelKind, ModelSource
from puna.domain.remote import RemoteModel
from puna.engine.upstream.entry import to_entry
from puna.engine.upstream.key import KeySource
from puna.errors import ConfigError, ModelLoadError
from puna.launch import child_environment
from puna.redaction import redact

SECRET = "sk-this-is-secret-12345678"


def write(folder: Path, text: str) -> Path:
    path = folder / "puna.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_tables_and_lines_mean_the_same(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [[remote_models]]
        name = "big"
        url = "http://gpu-box:8000/v1/"
        model = "Qwen/Qwen3-32B"
        key_variable = "GPU_BOX_KEY"
        slots = 32
        can_think = true
        stall_timeout_s = 30

        [[remote_models]]
        name = "vectors"
        url = "https://box"
        kind = "embedding"
        """,
    )
    settings = load(path, {}).settings
    big, vectors = settings.remote_models
    assert (big.base_url, big.origin, big.model) == (
        "http://gpu-box:8000/v1",
        "http://gpu-box:8000",
        "Qwen/Qwen3-32B",
    )
    assert (big.slots, big.can_think, big.stall_timeout_s) == (32, True, 30)
    assert (vectors.base_url, vectors.kind) == ("https://box/v1", ModelKind.EMBEDDING)
    lines = show(settings.remote_models)
    assert lines == (
        "big=http://gpu-box:8000/v1/ model=Qwen/Qwen3-32B key_variable=GPU_BOX_KEY slots=32 can_think=true "
        "stall_timeout_s=30,vectors=https://box kind=embedding"
    )
    assert load(Path("none"), {"PUNA_REMOTE_MODELS": lines}).settings.remote_models == settings.remote_models


def test_the_command_line_writes_what_it_reads(tmp_path: Path) -> None:
    path = write(tmp_path, "port = 1\n")
    set_value(path, "remote_models", ["big=http://box:1 slots=4", "small=http://box:2"])
    assert [model.name for model in load(path, {}).settings.remote_models] == ["big", "small"]


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        ("big", "item 1 is neither"),
        (3, "a list of tables"),
        ({"name": "big"}, "missing required field `url`"),
        ({"name": "big", "url": "box:8000"}, "url must be an address"),
        ({"name": "big", "url": "ftp://box"}, "url must be an address"),
        ({"name": "big", "url": "http://box/v1?key=1"}, "url must end with its path"),
        ({"name": "big", "url": "http://box:99999"}, "range"),
        ({"name": "big", "url": "http://[box"}, "url|URL"),
        ({"name": "big", "url": "http://bo x"}, "url must be an address"),
        ({"name": "a b", "url": "http://box"}, "name"),
        ({"name": "big", "url": "http://box", "slots": 0}, "slots"),
        ({"name": "big", "url": "http://box", "slots": "8"}, "slots"),
        ({"name": "big", "url": "http://box", "kind": "image"}, "kind"),
        ({"name": "big", "url": "http://box", "sl0ts": 8}, "none of name, url"),
        ("big=http://box slots=many", "slots"),
        ("demo=http://box", "demo is the name of the built-in model"),
    ],
)
def test_what_is_wrong_is_said_with_the_item_and_the_field(item: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_remote_models([item])


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="big is there twice"):
        read_remote_models(["big=http://a", "big=http://b"])


@pytest.mark.parametrize(
    "line",
    [
        f'[[remote_models]]\nname = "big"\nurl = "http://box"\nkey = "{SECRET}"',
        f'[[remote_models]]\nname = "big"\nurl = "http://box"\napi_key = "{SECRET}"',
        f'[[remote_models]]\nname = "big"\nurl = "http://me:{SECRET}@box"',
        f'[[remote_models]]\nname = "big"\nurl = "http://box?k={SECRET}"',
        f'remote_models = ["big=http://box key={SECRET}"]',
        f'remote_models = ["{SECRET}"]',
        f'remote_models = "{SECRET}"',
        f'[[remote_models]]\nname = "big"\nurl = "http://box"\n"{SECRET}" = 1',
        f'[[remote_models]]\nname = "big"\nurl = "http://box"\nkind = "{SECRET}"',
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match="remote_models must be a list") as caught:
        load(write(tmp_path, line), {})
    assert SECRET not in caught.value.message


def test_nor_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        set_value(tmp_path / "puna.toml", "remote_models", [f"big=http://box key={SECRET}"])
    assert SECRET not in caught.value.message


def test_the_entry_says_what_the_settings_know() -> None:
    entry = to_entry(RemoteModel(name="big", url="http://box:1/v1", model="org/big", context_length=4096))
    assert (entry.id, entry.path, entry.size_bytes, entry.source) == ("big", None, 0, ModelSource.REMOTE)
    assert entry.description == "org/big runs at http://box:1"
    assert (entry.context_length, entry.can_call_tools, entry.can_think) == (4096, True, False)


def test_children_do_not_get_the_variables_with_keys() -> None:
    environ = {"PATH": "/bin", "GPU_BOX": SECRET, "OPENAI_API_KEY": SECRET}
    assert child_environment(environ, hidden={"GPU_BOX"}) == {"PATH": "/bin", "GGML_NO_BACKTRACE": "1"}


REMOTE = RemoteModel(name="big", url="http://box")
NAMED = RemoteModel(name="big", url="http://box", key_variable="BOX_KEY")


def test_a_key_comes_from_its_variable_before_the_secret_file(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.json"
    assert KeySource(secrets, {}).read(REMOTE) is None
    secrets.write_text(f'{{"hugging_face_token": "x", "remote_keys": {{"big": " {SECRET} "}}}}')
    assert KeySource(secrets, {}).read(REMOTE) == SECRET
    assert KeySource(secrets, {"BOX_KEY": "other-key"}).read(REMOTE) == SECRET
    assert KeySource(secrets, {"BOX_KEY": "other-key"}).read(NAMED) == "other-key"
    assert KeySource(secrets, {}).read(NAMED) == SECRET
    assert SECRET not in redact(f"a line with {SECRET}")


def test_a_key_that_is_named_and_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="neither the variable BOX_KEY nor remote_keys"):
        KeySource(tmp_path / "secrets.json", {}).read(NAMED)


@pytest.mark.parametrize("content", ["", "[]", '{"remote_keys": {"big": 7}}', "{\xff", "not json"])
def test_a_damaged_secret_file_is_said_without_its_content(tmp_path: Path, content: str) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelLoadError, match=r"secrets\.json is damaged"):
        KeySource(secrets, {}).read(REMOTE)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schl\u00fcssel"])
def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ModelLoadError, match="copy it again") as caught:
        KeySource(tmp_path / "secrets.json", {"BOX_KEY": key}).read(NAMED)
    assert key not in caught.value.message
