"""The settings open_dialects and rate_limits, in all the places where settings come from."""

from pathlib import Path

import pytest

from puna.config import Settings, load
from puna.config.editing import set_value
from puna.config.values import show
from puna.errors import ConfigError


def resolve(folder: Path, toml: str = "", **environ: str) -> Settings:
    file = folder / "puna.toml"
    file.write_text(toml, encoding="utf-8")
    return load(file, environ).settings


def test_the_dialects_of_the_design_are_open_and_the_documented_rates_hold(tmp_path: Path) -> None:
    settings = resolve(tmp_path)
    assert show(settings.open_dialects) == "locallab,openai,anthropic"
    assert settings.rate_limits == "documented"


def test_a_list_can_be_emptied_wherever_it_is_set(tmp_path: Path) -> None:
    file = tmp_path / "puna.toml"
    assert resolve(tmp_path, "open_dialects = []").open_dialects == ()
    assert resolve(tmp_path, 'open_dialects = ["none"]').open_dialects == ()
    assert resolve(tmp_path, PUNA_OPEN_DIALECTS="none").open_dialects == ()
    assert load(file, {}, {"open_dialects": ["none"]}).settings.open_dialects == ()
    assert set_value(file, "open_dialects", ["none"]) == ()
    assert load(file, {}).settings.open_dialects == ()
    assert resolve(tmp_path, 'open_dialects = ["ollama"]', PUNA_OPEN_DIALECTS="lamini").open_dialects == (
        "lamini",
    )


@pytest.mark.parametrize("text", ["off", "documented", "locallab=60/min:10 aitextgen=100/min+5000/day"])
def test_rates_are_taken_as_they_are_written(tmp_path: Path, text: str) -> None:
    assert resolve(tmp_path, f'rate_limits = "{text}"').rate_limits == text
    assert resolve(tmp_path, PUNA_RATE_LIMITS=text).rate_limits == text


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('rate_limits = "60/min"', "rate_limits must be `documented`, `off`, or rates"),
        ('rate_limits = "control=1/min"', "not 'control=1/min'"),
        ("rate_limits = 60", "rate_limits must be"),
        ('open_dialects = ["control"]', "open_dialects must be a list of locallab, aitextgen, modelstudio"),
        ('open_dialects = ["none", "openai"]', "open_dialects must be"),
        ('open_dialects = "openai"', "open_dialects must be"),
    ],
)
def test_what_is_wrong_is_told_with_what_may_be_set(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(tmp_path, toml)
    assert words in refused.value.message
    assert "puna.toml" in refused.value.message
