"""The log: a line for each record, whatever a client sends."""

import io
import logging
import os
import queue
import select
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from puna import logs
from puna.domain.generation import Usage
from puna.errors import DaemonError
from puna.logs import access_line, escape, logging_to

HOSTILE = [
    "\n2026-01-01 00:00:00.000 INFO    puna: forged",
    "\r\nforged",
    "\x0bforged",
    "\x0cforged",
    "\x1cforged",
    "\x85forged",
    "\u2028forged",
    "\u2029forged",
    "\x1b[2J\x1b[31mforged",
    "\x00forged",
    "\u202eforged",
    "\ud800forged",
]


@contextmanager
def log_in(folder: Path, *, level: str = "info", file_bytes: int = 1_000_000) -> Iterator[logging.Logger]:
    with logging_to(folder / "daemon.log", level=level, file_bytes=file_bytes, file_count=2, console=False):
        yield logging.getLogger("puna.test")


def lines_in(folder: Path) -> list[str]:
    return (folder / "daemon.log").read_text(encoding="utf-8").splitlines()


def test_a_record_is_one_readable_line(tmp_path: Path) -> None:
    with log_in(tmp_path) as log:
        log.info("hello %s", "world")
    [line] = lines_in(tmp_path)
    assert line.endswith(" INFO    puna.test: hello world")
    assert line[:4].isdigit()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_once_and_hinders_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "daemon.log").symlink_to("/dev/full")
    with log_in(tmp_path) as log:
        for number in range(1000):
            log.info("hello %d", number)
    assert capfd.readouterr().err == "puna: the log cannot be written (No space left on device).\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_client_begins_a_line(tmp_path: Path, text: str) -> None:
    with log_in(tmp_path) as log:
        log.info("prompt: %s", text)
        log.info(text)
    content = (tmp_path / "daemon.log").read_text(encoding="utf-8")
    assert len(content.splitlines()) == 2
    assert all(line.isprintable() for line in content.splitlines())
    assert content.count("forged") == 2


def test_a_traceback_is_marked_line_by_line(tmp_path: Path) -> None:
    with log_in(tmp_path) as log:
        try:
            raise ValueError("first\n2026-01-01 00:00:00.000 INFO    puna: forged\x1b[2J")
        except ValueError:
            log.exception("it failed")
    first, *rest = lines_in(tmp_path)
    assert first.endswith("ERROR   puna.test: it failed")
    assert len(rest) >= 4
    assert all(line.startswith("    | ") and line.isprintable() for line in rest)
    assert any("forged" in line for line in rest)


def test_secrets_are_out_of_messages_arguments_and_tracebacks(tmp_path: Path) -> None:
    token = "hf_" + "x" * 30
    with log_in(tmp_path) as log:
        log.info("token %s and %s", token, {"Authorization": f"Bearer {token}"})
        try:
            raise ValueError(f"bad header Authorization: Bearer {token}")
        except ValueError:
            log.exception("failed with %s", token)
    content = "\n".join(lines_in(tmp_path))
    assert "xxxx" not in content
    assert content.count("[hidden]") >= 4


def test_levels_are_puna_s_own_and_others_only_warn(tmp_path: Path) -> None:
    with log_in(tmp_path, level="debug") as log:
        log.debug("own detail")
        logging.getLogger("aiohttp").info("foreign detail")
        logging.getLogger("aiohttp").warning("foreign warning")
    assert [line.rpartition(": ")[2] for line in lines_in(tmp_path)] == ["own detail", "foreign warning"]


def test_warnings_of_the_interpreter_are_logged(tmp_path: Path) -> None:
    with warnings.catch_warnings(), log_in(tmp_path):
        warnings.simplefilter("always")
        warnings.warn("old function", stacklevel=1)
    assert "old function" in lines_in(tmp_path)[0]


def test_logging_is_as_before_afterwards(tmp_path: Path) -> None:
    root, own = logging.getLogger(), logging.getLogger("puna")
    before, threads = (root.handlers[:], root.level, own.level), set(threading.enumerate())
    with log_in(tmp_path, level="error"):
        assert root.handlers != before[0]
        assert set(threading.enumerate()) - threads
    assert (root.handlers[:], root.level, own.level) == before
    assert not set(threading.enumerate()) - threads


def test_the_file_is_rotated_and_few_are_kept(tmp_path: Path) -> None:
    with log_in(tmp_path, file_bytes=2_000) as log:
        for number in range(200):
            log.info("line %04d %s", number, "x" * 40)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    assert "line 0199" in lines_in(tmp_path)[-1]
    assert all(file.stat().st_size <= 2_000 for file in tmp_path.iterdir())


def test_a_file_that_cannot_be_renamed_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(os, "rename", fail)
    with log_in(tmp_path, file_bytes=500) as log:
        for number in range(30):
            log.info("line %d", number)
    assert [line.rpartition(" ")[2] for line in lines_in(tmp_path)] == [str(number) for number in range(30)]


def test_a_file_that_fails_as_it_is_closed_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As files on a network do, that are told of a full disk late."""

    class Failing(io.TextIOWrapper):
        def close(self) -> None:
            if not self.closed:
                super().close()
                raise OSError(122, "Disk quota exceeded")

    def open_failing(self: logging.FileHandler) -> Failing:
        return Failing(Path(self.baseFilename).open("ab"), encoding="utf-8")

    monkeypatch.setattr(logging.FileHandler, "_open", open_failing)
    with log_in(tmp_path, file_bytes=500) as log:
        for number in range(30):
            log.info("line %d", number)
    assert [line.rpartition(" ")[2] for line in lines_in(tmp_path)] == [str(number) for number in range(30)]


def test_records_are_written_by_another_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers: set[int] = set()
    emit = logging.handlers.RotatingFileHandler.emit

    def note(self: logging.handlers.RotatingFileHandler, record: logging.LogRecord) -> None:
        writers.add(threading.get_ident())
        emit(self, record)

    monkeypatch.setattr(logging.handlers.RotatingFileHandler, "emit", note)
    with log_in(tmp_path) as log:
        log.info("one")
    assert writers
    assert threading.get_ident() not in writers


def test_a_full_queue_drops_lines_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_full = [True, True, True, False, False]

    def put(self: queue.Queue[object], item: object) -> None:
        if is_full.pop(0):
            raise queue.Full
        self.put(item)

    with log_in(tmp_path) as log, monkeypatch.context() as patch:
        patch.setattr(queue.Queue, "put_nowait", put)
        for number in range(5):
            log.info("line %d", number)
    assert [line.partition(": ")[2] for line in lines_in(tmp_path)] == [
        "line 3 (3 lines before this one were dropped)",
        "line 4",
    ]


def test_a_full_queue_at_the_end_is_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_QUEUE_LIMIT", 2)
    is_writing, go_on = threading.Event(), threading.Event()
    emit = logging.handlers.RotatingFileHandler.emit

    def wait(self: logging.handlers.RotatingFileHandler, record: logging.LogRecord) -> None:
        is_writing.set()
        assert go_on.wait(60)
        emit(self, record)

    monkeypatch.setattr(logging.handlers.RotatingFileHandler, "emit", wait)
    put = queue.Queue.put

    def note(self: queue.Queue[object], item: object, *arguments: object, **named: object) -> None:
        if item is None:  # the end
            go_on.set()
        put(self, item, *arguments, **named)  # type: ignore[arg-type]

    with log_in(tmp_path) as log:
        monkeypatch.setattr(queue.Queue, "put", note)
        log.info("line 0")
        assert is_writing.wait(60)
        for number in range(1, 4):
            log.info("line %d", number)
    assert [line.rpartition(": ")[2] for line in lines_in(tmp_path)] == ["line 0", "line 1", "line 2"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows cannot be asked")
@pytest.mark.parametrize("kind", ["pipe", "openpty"])
def test_a_console_that_nobody_reads_holds_up_neither_the_file_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    reader, writer = getattr(os, kind)()
    lines = [f"line {number} {'x' * 90}" for number in range(2000)]
    with os.fdopen(reader, "rb", buffering=0) as read, os.fdopen(writer, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        logged = threading.Thread(target=log_lines, args=(tmp_path, lines), daemon=True)
        logged.start()
        logged.join(60)
        assert not logged.is_alive()
        assert os.get_blocking(writer)
        os.set_blocking(reader, False)
        seen = read.read(10_000_000).decode().splitlines()
    assert [line.rpartition(": ")[2] for line in lines_in(tmp_path)] == lines
    assert 10 < len(seen) < len(lines)
    assert seen[0].endswith(lines[0])


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows cannot be asked")
def test_a_console_that_is_read_again_tells_what_it_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_CONSOLE_WAIT_S", 0.0)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read, os.fdopen(writer, "w") as stderr:
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * select.PIPE_BUF)
        os.set_blocking(writer, True)
        console = logs._Console(stderr)
        for number in range(4):
            if number == 2:
                assert set(read.read()) == {ord("x")}
            console.handle(logging.LogRecord("puna", logging.INFO, "", 0, f"line {number}", None, None))
        console.close()
        assert read.read().decode() == "line 2 (2 lines before this one were dropped)\nline 3\n"


def log_lines(folder: Path, lines: list[str]) -> None:
    with logging_to(folder / "daemon.log", level="info", file_bytes=10_000_000, file_count=2, console=True):
        for line in lines:
            logging.getLogger("puna.test").info(line)


def test_the_console_gets_the_same_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.StringIO()
    monkeypatch.setattr(sys, "stderr", console)
    with logging_to(tmp_path / "x.log", level="info", file_bytes=10_000, file_count=1, console=True):
        logging.getLogger("puna.test").info("seen\non one line")
    assert console.getvalue().endswith("INFO    seen\\non one line\n")


def test_a_process_without_a_console_logs_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with logging_to(tmp_path / "daemon.log", level="info", file_bytes=10_000, file_count=1, console=True):
        logging.getLogger("puna.test").info("no window")
    assert lines_in(tmp_path)[0].endswith("no window")


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "daemon.log").mkdir()
    with pytest.raises(DaemonError, match="cannot be written"), log_in(tmp_path):
        pass


def test_an_endless_message_is_cut(tmp_path: Path) -> None:
    with log_in(tmp_path) as log:
        log.info("%s", "x" * 100_000)
    [line] = lines_in(tmp_path)
    assert line.endswith("... (84000 more characters)")
    assert len(line) < 17_000


def test_letters_of_all_languages_stay_readable() -> None:
    assert escape("Größe 模型 نموذج 🙂") == "Größe 模型 نموذج 🙂"


def test_a_request_is_one_short_line() -> None:
    line = access_line("POST", "/chat", dialect="locallab", status=200, time_s=0.5321, usage=Usage(12, 34))
    assert line == "POST /chat locallab 200 0.532s 12+34 tokens"
    noted = access_line("GET", "/health", dialect="locallab", status=200, time_s=0, note="client left")
    assert noted == "GET /health locallab 200 0.000s (client left)"


def test_a_request_line_has_no_query_no_line_break_and_an_end() -> None:
    path = "/generate\n2026 forged?api_key=sk-123456789"
    line = access_line("GET", path, dialect="-", status=404, time_s=1.0)
    assert line == "GET /generate\\n2026 forged - 404 1.000s"
    long = access_line("X" * 500, "/" + "a" * 5000, dialect="-", status=400, time_s=1.0)
    assert len(long) < 300
    secret = access_line("GET", "/models/hf_" + "a" * 20, dialect="-", status=404, time_s=1.0)
    assert secret == "GET /models/[hidden] - 404 1.000s"
