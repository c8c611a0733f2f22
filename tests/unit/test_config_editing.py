"""`puna config set` and `unset` on the file."""

import sys
from pathlib import Path

import pytest

from puna.config import load
from puna.config.editing import set_value, unset_value
from puna.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings" / "puna.toml"


def test_a_value_is_written_to_a_new_file_in_a_new_folder(file: Path) -> None:
    assert set_value(file, "port", ["8080"]) == 8080
    assert file.read_text() == "port = 8080\n"


def test_comments_and_other_settings_stay(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("# mine\nport = 1 # for the proxy\n\nslots = 4\n# end")
    set_value(file, "port", ["2"])
    set_value(file, "threads", ["auto"])
    text = file.read_text()
    assert "# mine\nport = 2 # for the proxy\n\nslots = 4\n# end" in text
    resolved = load(file, {}).settings
    assert (resolved.port, resolved.slots, resolved.threads) == (2, 4, None)


def test_a_list_takes_several_values_and_none(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    set_value(file, "model_folders", ["models", "~/more"])
    assert load(file, {}).settings.model_folders == (tmp_path / "models", Path.home() / "more")
    set_value(file, "allowed_hosts", [])
    assert load(file, {}).settings.allowed_hosts == ()


def test_a_relative_model_is_written_as_it_was_meant(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert set_value(file, "model", ["x.gguf"]) == str(tmp_path / "x.gguf")
    assert set_value(file, "model", ["demo"]) == "demo"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("port", ["70000"], "port must be a whole number from 0 to 65535, not '70000'."),
        ("port", ["1", "2"], "port takes one value, not 2."),
        ("prot", ["1"], '"prot" is not a setting; did you mean "port"?'),
        ("model", [""], "model must be a model id or the path of a GGUF file, not ''."),
        ("load_on_start", ["maybe"], "load_on_start must be true or false, not 'maybe'."),
    ],
)
def test_a_wrong_value_is_refused_and_the_file_left_alone(
    file: Path, name: str, values: list[str], expected: str
) -> None:
    set_value(file, "slots", ["2"])
    with pytest.raises(ConfigError) as caught:
        set_value(file, name, values)
    assert caught.value.message.startswith(expected)
    assert file.read_text() == "slots = 2\n"


def test_a_file_that_is_no_toml_is_not_overwritten(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("port = = 1\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        set_value(file, "port", ["1"])
    assert file.read_text() == "port = = 1\n"


def test_unset_removes_one_setting_and_says_when_there_is_none(file: Path) -> None:
    set_value(file, "port", ["1"])
    set_value(file, "slots", ["2"])
    assert unset_value(file, "port") is True
    assert unset_value(file, "port") is False
    assert file.read_text() == "slots = 2\n"


def test_unset_mends_a_file_with_an_unknown_name(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("prot = 1\nport = 2\n")
    assert unset_value(file, "prot") is True
    assert load(file, {}).settings.port == 2
    with pytest.raises(ConfigError):
        unset_value(file, "prot")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_a_linked_file_stays_a_link(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.toml"
    kept.write_text("slots = 2\n")
    file.parent.mkdir()
    file.symlink_to(kept)
    set_value(file, "port", ["1"])
    assert file.is_symlink()
    assert kept.read_text() == "slots = 2\nport = 1\n"
