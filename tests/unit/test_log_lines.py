"""`puna logs`."""

import os
import time
from pathlib import Path

import pytest

from puna.cli import log_lines
from puna.cli.log_lines import LogFollower, last_lines, newest_file
from puna.paths import Paths
from unit.conftest import Run


def write(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)


def test_the_last_lines_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    write(file, *map(str, range(10)))
    assert last_lines(file, 3) == ["7", "8", "9"]
    assert last_lines(file, 0) == []
    assert len(last_lines(file, 99)) == 10


def test_lines_from_before_the_rotation_fill_up(tmp_path: Path) -> None:
    write(tmp_path / "daemon.log.1", "a", "b")
    write(tmp_path / "daemon.log", "c")
    assert last_lines(tmp_path / "daemon.log", 2) == ["b", "c"]


def test_only_the_end_of_a_large_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "_TAIL_BYTES", 6)
    write(tmp_path / "daemon.log", "one", "two", "three")
    assert last_lines(tmp_path / "daemon.log", 9) == ["three"]


def test_what_a_model_file_makes_llama_cpp_print_cannot_command_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "worker.log"
    file.write_bytes(b"general.name = \x1b]0;owned\x07 \xff\r\n")
    assert last_lines(file, 1) == ["general.name = \\x1b]0;owned\\x07 \ufffd"]


def test_following_shows_whole_lines_only(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    write(file, "old")
    follower = LogFollower(file)
    assert list(follower.new_lines()) == []
    append(file, "one\ntw")
    assert list(follower.new_lines()) == ["one"]
    append(file, "o\n")
    assert list(follower.new_lines()) == ["two"]


def test_following_goes_on_through_a_rotation(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    write(file, "old")
    follower = LogFollower(file)
    append(file, "last of the old\n")
    file.rename(tmp_path / "daemon.log.1")
    assert list(follower.new_lines()) == []
    write(file, "first of the new")
    assert list(follower.new_lines()) == ["last of the old", "first of the new"]
    append(file, "second\n")
    assert list(follower.new_lines()) == ["second"]


def test_the_newest_worker_is_chosen(tmp_path: Path) -> None:
    assert newest_file(tmp_path / "missing") is None
    assert newest_file(tmp_path) is None
    for number, name in enumerate(("new", "old")):
        write(tmp_path / f"{name}.log", name)
        os.utime(tmp_path / f"{name}.log", (1000 - number, 1000 - number))
    assert newest_file(tmp_path) == tmp_path / "new.log"


def test_logs_prints_the_log_or_says_that_there_is_none(puna: Run, home: Paths) -> None:
    assert "There is no log yet" in puna("logs").err
    assert puna("logs").code == 3
    write(home.daemon_log, "a", "b")
    assert puna("logs", "-n", "1").out == "b\n"
    assert puna("logs", "--worker").code == 3
    write(home.worker_log_dir / "demo.log", "llama")
    assert puna("logs", "--worker").out == "llama\n"


def test_a_line_that_comes_between_the_last_ones_and_the_new_ones_is_told_once(home: Paths) -> None:
    write(home.daemon_log, "a", "b")
    follower = LogFollower(home.daemon_log)
    append(home.daemon_log, "c\n")
    assert last_lines(home.daemon_log, 50, follower.offset) == ["a", "b"]
    assert list(follower.new_lines()) == ["c"]


def test_following_ends_with_ctrl_c(puna: Run, home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home.daemon_log, "a")
    rounds = iter([lambda: append(home.daemon_log, "b\n")])

    def sleep(_: float) -> None:
        step = next(rounds, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(time, "sleep", sleep)
    ended = puna("logs", "--follow")
    assert (ended.code, ended.out) == (130, "a\nb\n")
