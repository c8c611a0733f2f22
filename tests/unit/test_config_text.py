"""Settings on the command line, in the reference, and as text."""

from pathlib import Path

import pytest

from puna.config import FlagValue, Kind, Settings, all_settings
from puna.config.definitions import check
from puna.config.flags import parse_flags, to_arguments
from puna.config.reference import render_reference
from puna.config.values import parse, show


def test_flags_are_read_in_both_spellings() -> None:
    arguments = [
        "--port",
        "81",
        "--host=::1",
        "--no-load-on-start",
        "--model-folder",
        "a",
        "--model-folder=b",
    ]
    assert parse_flags(arguments) == {
        "port": "81",
        "host": "::1",
        "load_on_start": False,
        "model_folders": ["a", "b"],
    }


def test_a_negative_number_is_a_value_and_no_flag() -> None:
    assert parse_flags(["--port", "-1"]) == {"port": "-1"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--prot", "1"],
        ["--port"],
        ["--port", "--slots"],
        ["x"],
        ["--no-port"],
        ["--load-on-start=1"],
    ],
)
def test_what_is_no_plain_flag_is_left_to_the_real_parser(arguments: list[str]) -> None:
    assert parse_flags(arguments) is None


def test_flags_survive_the_way_to_another_process() -> None:
    flags: dict[str, FlagValue] = {
        "port": "-1",
        "model": "--odd name=x",
        "load_on_start": True,
        "allowed_hosts": ["a", "b"],
    }
    assert parse_flags(to_arguments(flags)) == flags
    assert parse_flags(to_arguments({"load_on_start": False})) == {"load_on_start": False}


@pytest.mark.parametrize("name", list(all_settings()))
def test_each_default_is_allowed_and_survives_being_written(name: str) -> None:
    setting = all_settings()[name]
    default = getattr(Settings(), name)
    assert setting.default == default
    assert check(name, parse(setting, show(default)), Path("/")) == default


def test_flags_and_variables_are_not_shared() -> None:
    settings = all_settings().values()
    assert len({setting.flag for setting in settings}) == len(settings)
    assert all_settings()["model_folders"].flag == "--model-folder"
    assert all_settings()["slots"].flag == "--slots"
    assert all_settings()["load_timeout_s"].variable == "PUNA_LOAD_TIMEOUT_S"


def test_the_reference_has_a_row_for_each_setting() -> None:
    reference = render_reference()
    for setting in all_settings().values():
        assert reference.count(f"\n| `{setting.name}` |") == 2
        assert setting.help in reference
        assert setting.allowed in reference
    assert "| `port` | `8000` | a whole number from 0 to 65535 |" in reference


def test_only_lists_have_several_flags() -> None:
    kinds = {setting.name: setting.kind for setting in all_settings().values()}
    lists = {name for name, kind in kinds.items() if kind is Kind.LIST}
    assert {"model_folders", "model_aliases", "allowed_hosts", "allowed_origins"} <= lists
    assert lists.isdisjoint({"host", "port", "model"})
