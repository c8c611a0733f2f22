"""Where settings come from, and what is said when one is wrong."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from puna.config import FlagValue, LogLevel, Resolved, Settings, Source, all_settings, find_setting, load
from puna.errors import ConfigError


def resolve(
    folder: Path,
    toml: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, FlagValue] | None = None,
) -> Resolved:
    file = folder / "puna.toml"
    file.write_text(toml, encoding="utf-8")
    return load(file, environ or {}, flags or {})


def complaint(
    folder: Path,
    toml: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, FlagValue] | None = None,
) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(folder, toml, environ, flags)
    return caught.value.message


def test_nothing_set_gives_the_documented_defaults(tmp_path: Path) -> None:
    resolved = load(tmp_path / "missing.toml", {})
    assert resolved.settings == Settings()
    assert resolved.settings.port == 8000
    assert {origin.source for origin in resolved.origins.values()} == {Source.DEFAULT}
    assert list(resolved.origins) == list(all_settings())


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    toml = "port = 1001\nslots = 2\nqueue_limit = 7\n"
    environ = {"PUNA_PORT": "1002", "PUNA_SLOTS": "3"}
    resolved = resolve(tmp_path, toml, environ, {"port": "1003"})
    assert (resolved.settings.port, resolved.settings.slots, resolved.settings.queue_limit) == (1003, 3, 7)
    places = [resolved.origins[name].place for name in ("port", "slots", "queue_limit", "host")]
    assert places == ["--port", "PUNA_SLOTS", str(tmp_path / "puna.toml"), ""]


@pytest.mark.parametrize("environ", [{"PUNA_THREADS": "auto"}, {"PUNA_THREADS": "AUTO"}])
def test_auto_sets_back_what_an_earlier_place_has_set(tmp_path: Path, environ: dict[str, str]) -> None:
    resolved = resolve(tmp_path, "threads = 3", environ)
    assert resolved.settings.threads is None
    assert resolved.origins["threads"].source is Source.ENVIRONMENT


def test_every_kind_of_value_can_be_written_in_the_file(tmp_path: Path) -> None:
    toml = (
        'load_on_start = false\nmodel_folders = ["models", "~/more"]\ngpu_layers = "auto"\n'
        'drain_timeout_s = 2\nlog_level = "debug"\nmodel = "./a.gguf"\nallowed_hosts = ["pc.local"]\n'
    )
    settings = resolve(tmp_path, toml).settings
    assert settings.load_on_start is False
    assert settings.model_folders == (tmp_path / "models", Path.home() / "more")
    assert settings.gpu_layers is None
    assert settings.drain_timeout_s == 2.0
    assert settings.log_level is LogLevel.DEBUG
    assert Path(settings.model) == tmp_path / "a.gguf"
    assert settings.allowed_hosts == ("pc.local",)


def test_every_kind_of_value_can_be_written_in_a_variable(tmp_path: Path) -> None:
    environ = {
        "PUNA_LOAD_ON_START": "No",
        "PUNA_MODEL_FOLDERS": os.pathsep.join(["/a", "/b"]),
        "PUNA_ALLOWED_ORIGINS": "https://a.example, http://localhost:3000",
        "PUNA_DRAIN_TIMEOUT_S": " 2.5 ",
        "PUNA_LOG_LEVEL": "ERROR",
        "PUNA_HOST": "::1",
    }
    settings = resolve(tmp_path, environ=environ).settings
    assert settings.load_on_start is False
    assert settings.model_folders == (Path("/a").absolute(), Path("/b").absolute())
    assert settings.allowed_origins == ("https://a.example", "http://localhost:3000")
    assert settings.drain_timeout_s == 2.5
    assert settings.log_level is LogLevel.ERROR
    assert settings.host == "::1"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert resolve(tmp_path, environ={"PUNA_PORT": ""}).origins["port"].source is Source.DEFAULT


def test_flags_of_every_kind_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags: dict[str, FlagValue] = {"load_on_start": False, "model_folders": ["x", "/y"], "model": "m.gguf"}
    settings = resolve(tmp_path, flags=flags).settings
    assert settings.load_on_start is False
    assert settings.model_folders == (tmp_path / "x", Path("/y").absolute())
    assert settings.model == str(tmp_path / "m.gguf")


@pytest.mark.parametrize("name", ["demo", "microsoft/phi-2", "qwen2.5-7b"])
def test_a_model_id_is_not_taken_for_a_path(tmp_path: Path, name: str) -> None:
    assert resolve(tmp_path, f'model = "{name}"').settings.model == name


def test_a_byte_order_mark_of_windows_editors_is_no_error(tmp_path: Path) -> None:
    assert resolve(tmp_path, "\ufeffport = 1234\n").settings.port == 1234


WRONG = [
    ("port = 70000", "port must be a whole number from 0 to 65535, not 70000"),
    ("port = true", "port must be a whole number from 0 to 65535, not true"),
    ('port = "abc"', "port must be a whole number from 0 to 65535, not 'abc'"),
    ("port = 80.5", "port must be a whole number from 0 to 65535, not 80.5"),
    ("slots = 0", "slots must be a whole number from 1 to 16, not 0"),
    ("slots = 17", "slots must be a whole number from 1 to 16, not 17"),
    ("threads = 0", "threads must be a whole number from 1 to 1024 or auto, not 0"),
    ("generation_timeout_s = nan", "generation_timeout_s must be a number from 0.1 to 86400, not nan"),
    ("load_timeout_s = inf", "load_timeout_s must be a number from 0.1 to 86400, not inf"),
    ("load_on_start = 1", "load_on_start must be true or false, not 1"),
    ('log_level = "loud"', "log_level must be debug, info, warning or error, not 'loud'"),
    ('host = "example.org"', "host must be `localhost` or one IP address, not 'example.org'"),
    ('host = "1.2.3"', "host must be `localhost` or one IP address, not '1.2.3'"),
    ('model = ""', "model must be a model id or the path of a GGUF file, not ''"),
    ('model_folders = "x"', "model_folders must be a list of folders, not 'x'"),
    ("model_folders = [1]", "model_folders must be a list of folders, not [1]"),
    ('allowed_hosts = ["a b"]', "allowed_hosts must be a list of host names without a port, not ['a b']"),
    (
        'allowed_origins = ["https://a/b"]',
        "allowed_origins must be a list of origins such as https://example.org, not ['https://a/b']",
    ),
]


@pytest.mark.parametrize(("toml", "expected"), WRONG)
def test_a_wrong_value_in_the_file_is_said_with_range_and_file(
    tmp_path: Path, toml: str, expected: str
) -> None:
    assert complaint(tmp_path, toml) == f"{expected} (in {tmp_path / 'puna.toml'})."


def test_a_wrong_value_in_a_variable_is_said_with_its_name(tmp_path: Path) -> None:
    message = complaint(tmp_path, environ={"PUNA_PORT": "99999"})
    assert message == "port must be a whole number from 0 to 65535, not 99999 (set by PUNA_PORT)."


def test_a_wrong_value_of_a_flag_is_said_with_the_flag(tmp_path: Path) -> None:
    message = complaint(tmp_path, flags={"context_length": "-1"})
    assert message.startswith("context_length must be a whole number from 256 to 16777216 or auto, not -1")
    assert message.endswith("(set by --context-length).")


def test_a_wrong_value_is_an_error_even_where_a_flag_would_win(tmp_path: Path) -> None:
    assert "not 99999 (set by PUNA_PORT)" in complaint(
        tmp_path, environ={"PUNA_PORT": "99999"}, flags={"port": "80"}
    )


def test_an_endless_wrong_value_is_shortened(tmp_path: Path) -> None:
    assert len(complaint(tmp_path, environ={"PUNA_PORT": "9" * 5000 + "x"})) < 250


def test_an_unknown_key_is_said_with_the_nearest_name(tmp_path: Path) -> None:
    message = complaint(tmp_path, "prot = 8080")
    assert message.startswith(f'"prot" in {tmp_path / "puna.toml"} is not a setting; did you mean "port"?')
    assert "puna config list" in message


def test_an_unknown_table_is_an_unknown_key(tmp_path: Path) -> None:
    assert '"server" in' in complaint(tmp_path, "[server]\nport = 1")


def test_a_name_like_no_other_gets_no_guess() -> None:
    with pytest.raises(ConfigError) as caught:
        find_setting("zzzzzz")
    assert "did you mean" not in caught.value.message
    assert caught.value.field == "zzzzzz"


def test_invalid_toml_is_said_with_its_line(tmp_path: Path) -> None:
    message = complaint(tmp_path, "port = 1\nslots == 2\n")
    assert str(tmp_path / "puna.toml") in message
    assert "line 2" in message


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "puna.toml").write_bytes(b"\xff\xfe\x00p")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "puna.toml", {})


def test_a_folder_in_place_of_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


def test_a_misspelt_variable_is_told_and_changes_nothing(tmp_path: Path) -> None:
    resolved = resolve(tmp_path, environ={"PUNA_PROT": "1", "PUNA_TEST_STRICT": "1", "PUNA_HOME": "/x"})
    assert resolved.settings == Settings()
    assert resolved.warnings == ("PUNA_PROT is not a setting and does nothing; did you mean PUNA_PORT?",)
