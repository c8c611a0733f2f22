"""Files and folders that only their user may read."""

import os
import stat
import sys
from pathlib import Path

import pytest

from puna.errors import DaemonError
from puna.files import make_private_folder, write_private
from puna.paths import Paths

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="access is by lists there, not by modes")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix_only
def test_a_private_file_is_for_its_user_only_even_over_an_open_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"old")
    file.chmod(0o666)
    write_private(file, b"new")
    assert (mode_of(file), file.read_bytes()) == (0o600, b"new")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kept"
    file.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_private(file, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    assert file.read_bytes() == b"old"


@posix_only
def test_what_was_written_outlives_a_power_cut_with_its_name_where_it_shall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, bool]] = []

    def note(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), (tmp_path / "kept").exists()))

    monkeypatch.setattr("os.fsync", note)
    write_private(tmp_path / "kept", b"new")
    assert synced == [(False, False), (True, True)], "first the content, then the name"
    write_private(tmp_path / "passing", b"new", is_lasting=False)
    assert len(synced) == 2


@posix_only
def test_an_open_folder_is_narrowed_to_its_user(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    folder.chmod(0o777)
    make_private_folder(folder)
    assert mode_of(folder) == 0o700


@posix_only
def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path.stat().st_uid + 1
    monkeypatch.setattr("os.geteuid", lambda: other)
    with pytest.raises(DaemonError, match=r"belongs to another user: remove it, or set PUNA_HOME"):
        make_private_folder(tmp_path)


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"")
    with pytest.raises(DaemonError, match="cannot be used"):
        make_private_folder(tmp_path / "run")


def test_puna_home_moves_everything(tmp_path: Path) -> None:
    paths = Paths.for_user({"PUNA_HOME": str(tmp_path)})
    places = [paths.config_file, paths.state_dir, paths.run_dir, paths.endpoint_file, paths.lock_file]
    places += [paths.log_dir, paths.daemon_log, paths.output_file, paths.worker_log_dir, paths.state_file]
    assert all(place.is_relative_to(tmp_path) for place in places)
    assert not any(tmp_path.iterdir())


def test_a_user_has_places_of_their_own_and_the_model_comes_with_the_program() -> None:
    paths = Paths.for_user({})
    assert paths.run_dir.parent == paths.state_dir
    assert paths.config_file.is_relative_to(Path.home())
    assert paths.demo_model.parent.parent.name == "puna"
