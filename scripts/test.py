"""Run every check and every test: python3 scripts/test.py [arguments of pytest]

The checks are those of scripts/check.py. Both parts always run; the exit code is that of the first that
fails.
With PUNA_TEST_STRICT=1 a test that would be skipped because a tool is missing fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from environment import ROOT, ensure_environment, or_exit


def main(arguments: Sequence[str]) -> int:
    """Run checks and tests with the environment's Python; pytest has the last line."""
    python = str(or_exit(lambda: ensure_environment(with_tests=True)))
    checks = subprocess.call([python, str(ROOT / "scripts" / "check.py")], cwd=ROOT)
    tests = subprocess.call([python, "-m", "pytest", *arguments], cwd=ROOT, env=_environ())
    return checks or tests


def _environ() -> dict[str, str]:
    """Return this process's variables, with bytecode kept: the tests start hundreds of daemons and workers."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
