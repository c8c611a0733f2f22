"""`puna config`."""

import json

import pytest

from puna.paths import Paths
from unit.conftest import Run


def test_config_list_shows_values_and_where_they_come_from(
    puna: Run, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert puna("config", "set", "port", "8080").code == 0
    monkeypatch.setenv("PUNA_SLOTS", "3")
    rows = [line.split() for line in puna("config", "list").out.splitlines()]
    assert rows[0] == ["setting", "value", "from"]
    assert ["port", "8080", str(home.config_file)] in rows
    assert ["slots", "3", "PUNA_SLOTS"] in rows
    assert ["host", "localhost", "default"] in rows
    assert ["model_folders", "none", "default"] in rows
    table = json.loads(puna("config", "list", "--json").out)
    assert table["port"] == {"value": 8080, "source": "file", "place": str(home.config_file)}
    assert table["threads"]["value"] is None


def test_config_get_set_unset_and_path(puna: Run, home: Paths) -> None:
    assert puna("config", "path").out.strip() == str(home.config_file)
    assert puna("config", "set", "allowed_hosts", "a", "b").out.startswith("allowed_hosts is a,b in ")
    assert puna("config", "get", "allowed_hosts").out == "a,b\n"
    assert puna("config", "get", "threads").out == "auto\n"
    assert "is no longer in" in puna("config", "unset", "allowed_hosts").out
    assert "does not stand in" in puna("config", "unset", "allowed_hosts").out


def test_config_refuses_what_is_wrong_with_exit_code_2(puna: Run, home: Paths) -> None:
    for arguments in (("set", "port", "99999"), ("get", "prot"), ("unset", "prot"), ("set", "prot", "1")):
        ended = puna("config", *arguments)
        assert ended.code == 2
        assert ended.err.startswith("puna: ")
    assert not home.config_file.exists()


def test_config_set_says_when_the_environment_wins(puna: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNA_PORT", "1")
    assert "PUNA_PORT is set in the environment and wins" in puna("config", "set", "port", "2").err
