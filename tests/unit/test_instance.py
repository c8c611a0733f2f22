"""The lock, the endpoint file, and what a look at both says."""

import os
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from puna.errors import AlreadyRunningError, DaemonError
from puna.files import make_private_folder
from puna.instance import (
    Endpoint,
    InstanceLock,
    Presence,
    find_process,
    is_locked,
    probe,
    read_endpoint,
    remove_endpoint,
    write_endpoint,
)
from puna.paths import Paths

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="access is by lists there, not by modes")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths.under(tmp_path)
    make_private_folder(paths.run_dir)
    return paths


def make_endpoint(host: str = "localhost", pid: int = 1, create_time: float = 0) -> Endpoint:
    return Endpoint(
        pid=pid,
        create_time=create_time,
        host=host,
        port=8000,
        token="the-token-of-this-test",
        instance="i",
        version="0.1.0",
    )


@pytest.mark.parametrize(
    ("host", "connect_host", "url"),
    [
        ("localhost", "127.0.0.1", "http://localhost:8000"),
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:8000"),
        ("::1", "::1", "http://[::1]:8000"),
        ("0.0.0.0", "127.0.0.1", "http://127.0.0.1:8000"),
        ("::", "::1", "http://[::1]:8000"),
    ],
)
def test_an_endpoint_says_where_to_connect(host: str, connect_host: str, url: str) -> None:
    endpoint = make_endpoint(host)
    assert (endpoint.connect_host, endpoint.url) == (connect_host, url)


def test_an_endpoint_is_read_back_and_removed(paths: Paths) -> None:
    write_endpoint(paths, make_endpoint())
    assert read_endpoint(paths.endpoint_file) == make_endpoint()
    remove_endpoint(paths)
    remove_endpoint(paths)
    assert read_endpoint(paths.endpoint_file) is None


def test_a_folder_in_the_place_of_the_endpoint_file_is_said_and_hinders_no_stop(paths: Paths) -> None:
    paths.endpoint_file.mkdir()
    with pytest.raises(DaemonError, match="remove what stands there"):
        write_endpoint(paths, make_endpoint())
    remove_endpoint(paths)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"pid": 1}', b"\xff"])
def test_a_damaged_endpoint_file_is_none(paths: Paths, content: bytes) -> None:
    paths.endpoint_file.write_bytes(content)
    paths.endpoint_file.chmod(0o600)
    assert read_endpoint(paths.endpoint_file) is None


@posix_only
def test_the_endpoint_file_is_for_its_user_only(paths: Paths) -> None:
    write_endpoint(paths, make_endpoint())
    assert paths.endpoint_file.stat().st_mode & 0o777 == 0o600
    assert paths.run_dir.stat().st_mode & 0o777 == 0o700


@posix_only
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_endpoint_file_that_others_can_write_is_not_trusted(paths: Paths, mode: int) -> None:
    write_endpoint(paths, make_endpoint())
    paths.endpoint_file.chmod(mode)
    with pytest.raises(DaemonError, match="can be written by other users"):
        read_endpoint(paths.endpoint_file)


@posix_only
def test_an_endpoint_file_of_another_user_is_not_trusted(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_endpoint(paths, make_endpoint())
    other = paths.endpoint_file.stat().st_uid + 1
    monkeypatch.setattr("os.geteuid", lambda: other)
    with pytest.raises(DaemonError, match="not trusted"):
        read_endpoint(paths.endpoint_file)


def test_a_second_lock_is_refused_with_the_address_of_the_first(paths: Paths) -> None:
    with InstanceLock(paths):
        write_endpoint(paths, make_endpoint(pid=77))
        with pytest.raises(AlreadyRunningError) as caught, InstanceLock(paths, wait_s=0):
            pass
    assert caught.value.message == (
        "Puna already runs at http://localhost:8000 (process 77); `puna stop` ends it."
    )


def test_a_second_lock_is_refused_before_the_first_has_an_address(paths: Paths) -> None:
    with (
        InstanceLock(paths),
        pytest.raises(AlreadyRunningError, match="is just starting"),
        InstanceLock(paths, wait_s=0),
    ):
        pass


def test_the_lock_is_free_again_after_its_block(paths: Paths) -> None:
    with InstanceLock(paths):
        assert is_locked(paths)
    assert not is_locked(paths)
    with InstanceLock(paths, wait_s=0):
        assert is_locked(paths)


def test_a_lock_file_that_is_a_folder_is_said(paths: Paths) -> None:
    paths.lock_file.mkdir()
    with pytest.raises(DaemonError, match="cannot be taken"), InstanceLock(paths, wait_s=0):
        pass


def test_nothing_there_is_absent_and_makes_no_file(tmp_path: Path) -> None:
    assert probe(Paths.under(tmp_path / "puna"), lambda _: True).presence is Presence.ABSENT
    assert not (tmp_path / "puna").exists()


def test_a_free_lock_with_an_endpoint_is_stale(paths: Paths) -> None:
    with InstanceLock(paths):
        write_endpoint(paths, make_endpoint())
    found = probe(paths, lambda _: False)
    assert (found.presence, found.endpoint) == (Presence.STALE, make_endpoint())


def test_a_held_lock_without_an_answer_is_starting(paths: Paths) -> None:
    with InstanceLock(paths):
        assert probe(paths, lambda _: True).presence is Presence.STARTING
        write_endpoint(paths, make_endpoint())
        found = probe(paths, lambda _: False)
    assert (found.presence, found.endpoint) == (Presence.STARTING, make_endpoint())


def test_a_daemon_that_answers_runs_and_its_lock_is_left_alone(paths: Paths) -> None:
    write_endpoint(paths, make_endpoint())
    assert probe(paths, lambda endpoint: endpoint.instance == "i").presence is Presence.RUNNING
    assert not paths.lock_file.exists()


def test_a_process_is_found_by_number_and_time_of_birth() -> None:
    born = psutil.Process().create_time()
    assert find_process(make_endpoint(pid=os.getpid(), create_time=born)) == psutil.Process()
    assert find_process(make_endpoint(pid=os.getpid(), create_time=born - 3600)) is None
    assert find_process(make_endpoint(pid=2**22 + 1, create_time=time.time())) is None


def test_the_file_has_the_documented_fields(paths: Paths) -> None:
    write_endpoint(paths, make_endpoint())
    fields = msgspec.json.decode(paths.endpoint_file.read_bytes(), type=dict[str, object])
    assert list(fields) == ["pid", "create_time", "host", "port", "token", "instance", "version"]
