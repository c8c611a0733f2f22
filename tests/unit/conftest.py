"""The command line, run in this process."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from puna import __main__ as entry
from puna.paths import Paths


@dataclass
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def puna(home: Paths, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line as the `puna` executable does."""

    def run(*arguments: str) -> Ended:
        code = entry.main(arguments)
        return Ended(code, *capsys.readouterr())

    return run
