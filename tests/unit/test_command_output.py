"""What commands print and where: tables, lines for people, and streams that are closed, full or of bytes."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from puna.cli import outcome
from puna.cli.figures import in_columns, print_table, table_lines
from puna.cli.outcome import complain, say
from puna.paths import Paths
from puna.terminal.safe_text import to_utf8_text
from unit.conftest import Run

COLUMNS = ("id", "name", "scopes", "")
ROWS = [("key_0123456789ab", "laptop", "infer,train", "loaded"), ("key_ba9876543210", "-", "infer", "")]
EVIL = "\x1b]0;title\x07\x9b2Ja\tb\nc"


def test_a_table_that_fits_has_columns_and_no_blanks_at_its_end() -> None:
    assert table_lines(COLUMNS, ROWS, 80) == [
        "id                name    scopes",
        "key_0123456789ab  laptop  infer,train  loaded",
        "key_ba9876543210  -       infer",
    ]


def test_a_table_that_is_too_wide_is_a_paragraph_for_each_row() -> None:
    assert table_lines(COLUMNS, ROWS, 30) == [
        "key_0123456789ab",
        "  name laptop, scopes",
        "  infer,train, loaded",
        "key_ba9876543210",
        "  scopes infer",
    ]


@pytest.mark.parametrize("width", [None, 200, 80, 40, 10, 1])
def test_no_name_is_cut_whatever_the_width(width: int | None) -> None:
    name = "organisation/A-Very-Long-Model-Name-Instruct-GGUF:Q4_K_M"
    text = "\n".join(table_lines(("model", "adapter"), [(name, name)] * 3, width))
    assert text.count(name) == 6


def test_a_long_text_at_the_end_stays_in_its_column() -> None:
    rows = [("dl_1", "It failed: the disk is full."), ("dl_2", "-")]
    assert table_lines(("id", "error"), rows, 27) == [
        "id    error",
        "dl_1  It failed: the disk",
        "      is full.",
        "dl_2  -",
    ]


def test_wide_characters_stay_in_their_columns() -> None:
    assert table_lines(("a", "b"), [("日本", "x"), ("ab", "y")], 80) == ["a     b", "日本  x", "ab    y"]


def test_without_rows_there_are_the_columns() -> None:
    assert table_lines(("a", "b"), [], 80) == ["a  b"]


def test_what_files_and_the_hub_say_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    complain(EVIL)
    print_table(("name", "b"), [(EVIL, "x")])
    print("\n".join(in_columns([("name", EVIL)])))
    shown = "".join(capsys.readouterr())
    assert not [mark for mark in shown if mark != "\n" and mark != "\t" and not mark.isprintable()]
    assert shown.count("\n") == 7, "a line end makes a line in sentences, and none in cells"


def test_bytes_that_are_no_text_are_replaced_in_what_is_asked() -> None:
    assert to_utf8_text(os.fsdecode(b"a\xffb \xc3\xa9")) == "a\ufffdb é"


def run(command: str, home: Path) -> "subprocess.CompletedProcess[bytes]":
    """Run a line of shell in which `$PUNA` is the program."""
    program = f'"{sys.executable}" -P -m puna'
    source = str(Path(__file__).parents[2] / "daemon")
    return subprocess.run(
        ["/bin/bash", "-c", command.replace("$PUNA", program)],
        env={**os.environ, "PUNA_HOME": str(home), "PYTHONPATH": source},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("$PUNA config list >&-", 0, ""),
        ("$PUNA config list <&- >&- 2>&-", 0, ""),
        ("$PUNA status --json 2>&-", 3, ""),
        ("$PUNA rm $'a\\xff'", 3, "Puna does not run"),
        ("PYTHONIOENCODING=ascii $PUNA config set model $'\\xc3\\xa9'", 0, ""),
        ("$PUNA config list | true; exit ${PIPESTATUS[0]}", 0, ""),
        ("$PUNA help config | true; exit ${PIPESTATUS[0]}", 0, ""),
    ],
)
def test_a_closed_or_narrow_stream_is_no_mistake_in_puna(
    tmp_path: Path, command: str, code: int, words: str
) -> None:
    ended = run(command, tmp_path)
    assert ended.returncode == code, ended.stderr
    assert b"Unexpected" not in ended.stderr
    assert b"Exception" not in ended.stderr
    assert words.encode() in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full here")
@pytest.mark.parametrize("command", ["config list", "status --json", "version", "help serve"])
def test_a_full_disk_is_told_and_a_failure(tmp_path: Path, command: str) -> None:
    ended = run(f"$PUNA {command} > /dev/full", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == (
        b"puna: The output cannot be written (No space left on device); make room, or write it somewhere else.\n"
    )


def test_an_argument_that_is_no_text_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        return len("\udcff".encode())

    assert outcome.guarded(fail) == 1
    assert capsys.readouterr().err.startswith("puna: An argument is no valid UTF-8")


def test_help_is_a_command_too(puna: Run) -> None:
    assert puna("help").out == puna("--help").out
    assert puna("help", "run").out == puna("run", "--help").out
    assert puna("help", "keys", "create").out.startswith("Usage: puna keys create")


def test_the_version_is_all_that_is_done(puna: Run) -> None:
    asked = puna("--version", "ls")
    assert (asked.code, asked.err) == (0, "")
    assert asked.out.startswith("Puna ")


def test_what_ctrl_c_cut_off_says_nothing() -> None:
    program = (
        "import sys, puna.cli.version\n"
        "from puna.__main__ import main\n"
        "class Cut:\n"
        "    def __del__(self): raise RuntimeError('Event loop is closed')\n"
        "async def work(): pass\n"
        "def interrupt():\n"
        "    cut, waiting = Cut(), work()\n"
        "    raise KeyboardInterrupt\n"
        "puna.cli.version.describe_version = interrupt\n"
        "sys.exit(main(['version']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_streams_that_are_there_stay(monkeypatch: pytest.MonkeyPatch, home: Paths) -> None:
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    assert outcome.guarded(lambda: 7) == 7
    assert sys.stdout is mine
