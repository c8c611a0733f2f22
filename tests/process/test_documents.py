"""The programs in the documents do what they say, with a real daemon and the real clients."""

import re
import subprocess
import sys
from pathlib import Path

from process.conftest import StartDaemon, environment

PROGRAMS = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


def run(home: Path, *command: str) -> str:
    """Run a program of Python and return what it prints."""
    ended = subprocess.run(
        [sys.executable, *command],
        env=environment(home) | {"NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_each_client_of_the_guide_gets_an_answer(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon()
    key = run(tmp_path, "-P", "-m", "puna", "keys", "create", "--name", "guide").strip()
    assert len(PROGRAMS) == 3
    for program in PROGRAMS:
        meant = program.replace("http://localhost:8000", daemon.url).replace("puna_...", key)
        assert run(tmp_path, "-c", meant).strip(), program
