"""The other verbs: progress of the installation, version, generated documents, strict tests."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import progress
from check import version_problem
from docs import find_stale
from environment import ROOT
from progress import describe, run_with_progress


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Collecting aiohttp<4,>=3.14 (from puna==0.1.0)", "fetching aiohttp"),
        ("Building wheel for llama-cpp-python (pyproject.toml): started", "compiling llama.cpp"),
        ("Building wheel for typing (setup.py): started", "building typing"),
        ("  [45/210] Building CXX object vendor/llama.cpp/x.o", "compiling llama.cpp, 45 of 210 files"),
        ("  [ 45%] Building CXX object vendor/llama.cpp/x.o", "compiling llama.cpp, 45 %"),
        ("Installing collected packages: a, b", "installing"),
        ("  Link requires a different Python", None),
        ("", None),
    ],
)
def test_pip_s_output_becomes_words_for_who_waits(line: str, shown: str | None) -> None:
    assert describe(line) == shown


def run_python(script: str, log: Path) -> int:
    return run_with_progress([sys.executable, "-c", script], log, os.environ)


def test_the_output_goes_to_the_log_and_the_exit_code_comes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_TICK_S", 60.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    log = tmp_path / "log"
    log.write_text("earlier\n")
    script = "import sys; print('Collecting aiohttp'); print('noise'); sys.exit(3)"
    assert run_python(script, log) == 3
    assert log.read_text().splitlines() == ["earlier", "Collecting aiohttp", "noise"]
    assert capsys.readouterr().out == "  0:00  fetching aiohttp\n"


def test_an_interruption_ends_the_child_and_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    monkeypatch.setattr(progress, "_show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_python("import time; time.sleep(60)", tmp_path / "log")
    assert set(threading.enumerate()) <= before


def test_version_and_changelog_must_agree() -> None:
    package = '"""Puna."""\n\n__version__ = "0.2.0"\n'
    assert (
        version_problem(package, "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-20\n\n## [0.1.0]\n")
        is None
    )
    assert "version is 0.2.0, and the newest entry of CHANGELOG.md is 0.1.0" in (
        version_problem(package, "## [Unreleased]\n## [0.1.0] - 2026-11-20\n") or ""
    )
    assert "has no __version__" in (version_problem("", "## [0.1.0]") or "")
    assert "no entry such as" in (version_problem(package, "") or "")


def test_a_stale_or_missing_document_is_found(tmp_path: Path) -> None:
    (tmp_path / "fresh.md").write_text("same")
    (tmp_path / "old.md").write_text("before")
    documents = {"fresh.md": "same", "old.md": "after", "missing.md": "x"}
    assert find_stale(documents, tmp_path) == ["old.md", "missing.md"]


@pytest.mark.parametrize(("strict", "expected"), [("1", 1), ("0", 0)])
def test_the_strict_mode_fails_a_test_that_lacks_a_tool_and_no_other_skip(
    tmp_path: Path, strict: str, expected: int
) -> None:
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_tool(): pytest.skip('needs a tool that nobody has')\n"
        "@pytest.mark.skipif(True, reason='needs another tool')\n"
        "def test_mark(): assert False\n"
        "@pytest.mark.skipif(True, reason='another system')\n"
        "def test_system(): assert False\n"
        "@pytest.mark.xfail(strict=True)\n"
        "def test_expected(): assert False\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PUNA_TEST_STRICT": strict},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == expected, result.stdout
    assert ("1 failed, 1 skipped, 1 xfailed, 1 error" in result.stdout) == (strict == "1")
