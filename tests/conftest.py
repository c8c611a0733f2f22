"""Fixtures of all tests, and the strict mode."""

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from puna.paths import Paths

_IS_STRICT = os.environ.get("PUNA_TEST_STRICT") == "1"
_NEEDS = "needs "
"""How the reason of a skip begins that is about a missing tool, as in `needs curl`."""


def pytest_configure() -> None:
    """Children take Ctrl-C as they do in a terminal; a shell starts what it puts into the background without it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A place of its own for settings, state, logs and models, in this process and its children; no other PUNA_*."""
    for name in [name for name in os.environ if name.startswith("PUNA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PUNA_HOME", str(tmp_path / "puna"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return Paths.for_user()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With PUNA_TEST_STRICT=1 a test does not get away with a missing tool."""
    report = yield
    if _IS_STRICT and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(_NEEDS):
            report.outcome = "failed"
            report.longrepr = f"skipped, which the strict mode does not allow: {reason}"
    return report
