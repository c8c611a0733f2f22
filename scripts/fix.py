"""Mend what a machine can mend: python3 scripts/fix.py (ruff: lint fixes, then format)."""

import subprocess
import sys

from environment import ROOT, enter_environment


def main() -> int:
    """Return the exit code of the first tool that could not mend everything."""
    enter_environment(__file__, sys.argv[1:])
    ruff = [sys.executable, "-m", "ruff"]
    lint = subprocess.call([*ruff, "check", "--fix"], cwd=ROOT)
    layout = subprocess.call([*ruff, "format"], cwd=ROOT)
    return lint or layout


if __name__ == "__main__":
    sys.exit(main())
