"""What the program remembers."""

import logging
import sys
from pathlib import Path

import pytest

from puna.errors import DaemonError, StoreError
from puna.state import State, StateFile


def test_state_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state" / "state.json"
    StateFile(file).write(State(instructions={"global": "Be brief.", "demo": "Be\nkind."}))
    assert StateFile(file).read().instructions == {"global": "Be brief.", "demo": "Be\nkind."}


def test_the_first_start_has_nothing_to_remember(tmp_path: Path) -> None:
    assert StateFile(tmp_path / "state.json").read() == State()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"instructions": {"global": 5}}', b"\xff\xfe"])
def test_a_damaged_file_is_put_aside_and_told(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert StateFile(file).read() == State()
    [aside] = tmp_path.iterdir()
    assert aside.name.startswith("state.json.damaged-")
    assert aside.read_bytes() == content
    assert aside.name in caplog.text


def test_two_damaged_files_are_both_kept(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        (tmp_path / "state.json").write_bytes(content)
        StateFile(tmp_path / "state.json").read()
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b"one", b"two"}


def test_fields_of_a_newer_version_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(b'{"instructions": {"a": "b"}, "news": 1}')
    assert StateFile(tmp_path / "state.json").read().instructions == {"a": "b"}


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(DaemonError, match="cannot be read"):
        StateFile(tmp_path / "state.json").read()


def test_a_change_that_cannot_be_kept_is_told_without_a_path_and_logged_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(StoreError) as failed:
        StateFile(tmp_path / "state.json").update(lambda state: state)
    assert str(tmp_path) not in failed.value.message
    assert str(tmp_path) in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="access is by lists there, not by modes")
def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "state" / "state.json"
    StateFile(file).write(State())
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0
