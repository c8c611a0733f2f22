"""Run every check that is not a test: python3 scripts/check.py

Format and lint (ruff), types (mypy, strict), import rules (import-linter), version against CHANGELOG.md, and
whether the generated documents are fresh. All of them run; the exit code is that of the first that fails.
`python3 scripts/fix.py` mends format and lint, `python3 scripts/docs.py` the documents.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from environment import ROOT, enter_environment

Check = Callable[[], tuple[int, str]]
"""Returns an exit code and what there is to say."""


def main() -> int:
    """Run all checks, a line for each; those that fail show their output."""
    enter_environment(__file__, sys.argv[1:])
    codes = [_report(name, check) for name, check in _checks().items()]
    return next((code for code in codes if code), 0)


def version_problem(package: str, changelog: str) -> str | None:
    """Return how `__version__` and the newest released entry of the changelog differ, or None."""
    version = re.search(r'^__version__ = "([^"]+)"', package, re.MULTILINE)
    entry = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    if not version or not entry:
        return "daemon/puna/__init__.py has no __version__, or CHANGELOG.md no entry such as ## [1.2.3]."
    if version[1] != entry[1]:
        return f"The version is {version[1]}, and the newest entry of CHANGELOG.md is {entry[1]}."
    return None


def _checks() -> dict[str, Check]:
    python = sys.executable
    return {
        "format": _tool(python, "-m", "ruff", "format", "--check", "--output-format", "concise"),
        "lint": _tool(python, "-m", "ruff", "check", "--output-format", "concise"),
        "types": _tool(python, "-m", "mypy", "daemon", "scripts", "tests"),
        "imports": _tool(str(Path(python).with_name("lint-imports"))),
        "version": _version,
        "documents": _tool(python, str(ROOT / "scripts" / "docs.py"), "--check"),
    }


def _tool(*command: str) -> Check:
    def run() -> tuple[int, str]:
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
        )
        return result.returncode, result.stdout + result.stderr

    return run


def _version() -> tuple[int, str]:
    package = (ROOT / "daemon" / "puna" / "__init__.py").read_text(encoding="utf-8")
    changelog = ROOT / "CHANGELOG.md"
    problem = version_problem(package, changelog.read_text(encoding="utf-8") if changelog.exists() else "")
    return (1, problem) if problem else (0, "")


def _report(name: str, check: Check) -> int:
    started = time.monotonic()
    code, output = check()
    print(f"{'FAILED' if code else 'ok':<7}{name:<10}{time.monotonic() - started:5.1f} s", flush=True)
    if code:
        print(output.rstrip(), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
