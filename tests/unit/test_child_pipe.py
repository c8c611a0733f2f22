"""A child's end of the pipe when nobody reads the other end any more."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from puna.engine.child_pipe import ChildPipe

WORKER = """
from puna.domain.models import WorkerStatus
from puna.engine.protocol import Status
from puna.worker.pipe import ParentPipe

pipe = ParentPipe.take_over_stdio()
while True:
    pipe.write([Status(WorkerStatus())])
"""


@pytest.fixture
def pipe() -> Iterator[ChildPipe]:
    """A pipe into nothing."""
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    yield ChildPipe(read_fd, write_fd)
    os.close(write_fd)


def test_a_pipe_that_nobody_reads_is_broken(pipe: ChildPipe) -> None:
    with pytest.raises(BrokenPipeError):
        pipe.write_frame(b"a frame")


@pytest.mark.parametrize("code", [errno.ECONNRESET, errno.EINVAL])
def test_it_is_broken_by_any_other_name_too(
    pipe: ChildPipe, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(fd: int, data: memoryview) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(BrokenPipeError):
        pipe.write_frame(b"a frame")


def test_a_worker_that_nobody_listens_to_ends_without_a_word() -> None:
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", WORKER],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.read(100)
    child.stdout.close()
    assert child.stderr is not None
    with child.stderr:
        assert child.stderr.read() == b""
    assert child.wait(60) == 0
