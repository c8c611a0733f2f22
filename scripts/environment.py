"""The project's own environment, `.venv`: made when missing, mended when damaged, else left alone.

A stamp in it says what was installed; as long as it agrees with pyproject.toml, nothing is run. It is written
last, so an interrupted installation has none, and the next run goes on with what is there.

This file is read by whatever Python the user has, so it must parse on old ones, too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import compiler
import progress

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)
_VENV = ROOT / ".venv"
_STAMP = _VENV / "puna-stamp.json"
_LOG = _VENV / "puna-install.log"
_TOOLS = ("ruff", "mypy", "importlinter", "pytest", "puna", "llama_cpp")
_PROOF = (
    "import aiohttp, filelock, jinja2, llama_cpp, llguidance, msgspec, numpy, platformdirs, "
    "prometheus_client, psutil, rich, tomlkit, typer, puna"
)
_T = TypeVar("_T")


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def ensure_environment(*, with_tests: bool) -> Path:
    """Return the Python of the environment, which is ready. Raises `SetupError`."""
    if with_tests and _runs_with_tools():
        return Path(sys.executable)
    if not is_ready(with_tests=with_tests):
        _make(with_tests=with_tests)
    return venv_python()


def is_ready(*, with_tests: bool) -> bool:
    """Whether the environment is there, and as pyproject.toml wants it."""
    wanted = wanted_stamp(_pyproject(), with_tests=with_tests)
    return is_current(_read_stamp(), wanted) and venv_python().exists()


def enter_environment(script: str, arguments: Sequence[str]) -> None:
    """Return when this Python has all tools; else run the script again with one that has, and exit."""
    if not _runs_with_tools():
        python = or_exit(lambda: ensure_environment(with_tests=True))
        sys.exit(subprocess.call([str(python), script, *arguments]))


def or_exit(make: Callable[[], _T]) -> _T:
    """Return what `make` returns; a problem is said and ends this program."""
    try:
        return make()
    except SetupError as problem:
        stop(str(problem))
    except KeyboardInterrupt:
        stop("Interrupted. Run the same command again: it goes on from here.")


def stop(sentence: str) -> NoReturn:
    """Say what is wrong and end this program with 1."""
    print(sentence, file=sys.stderr)
    sys.exit(1)


def python_problem(version: tuple[int, ...]) -> str | None:
    """Return what is wrong with a Python of this version, or None."""
    if OLDEST <= tuple(version) <= NEWEST:
        return None
    return (
        f"Puna needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, and this is Python "
        f"{version[0]}.{version[1]}. Run this script with another one, such as: python3.13 scripts/start.py"
    )


def venv_problem(has_module: Mapping[str, bool], version: tuple[int, ...]) -> str | None:
    """Return what to do where the system has split the venv module off, as Debian does, or None."""
    if has_module["venv"] and has_module["ensurepip"]:
        return None
    return (
        "This Python cannot make virtual environments. On Debian and Ubuntu: "
        f"sudo apt install python{version[0]}.{version[1]}-venv; then run this again."
    )


def wanted_stamp(pyproject: Mapping[str, object], *, with_tests: bool) -> dict[str, str]:
    """Return what the stamp must say for this pyproject.toml and this Python."""
    project = _table(pyproject, "project")
    stamp = {
        "python": sys.version,
        "root": str(ROOT),
        "project": _hash([project["dependencies"], project.get("scripts"), pyproject["build-system"]]),
    }
    if with_tests:
        stamp["tests"] = _hash([_table(pyproject, "dependency-groups")["test"], lone_packages(pyproject)])
    return stamp


def lone_packages(pyproject: Mapping[str, object]) -> list[str]:
    """Return the packages that the tests want without what those say they depend on."""
    tool = pyproject.get("tool")
    table = tool.get("puna") if isinstance(tool, dict) else None
    return list(table["test-without-dependencies"]) if isinstance(table, dict) else []


def is_current(stamp: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether everything that is wanted is installed; more than that does not hurt."""
    return all(stamp.get(key) == value for key, value in wanted.items())


def venv_python() -> Path:
    """Return where the environment's Python is, or will be."""
    return _VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _make(*, with_tests: bool) -> None:
    modules = {name: importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip")}
    problem = venv_problem(modules, sys.version_info[:2])
    if problem:
        raise SetupError(problem)
    stamp = _read_stamp()
    is_reusable = _runs(f"import pip, sys; assert sys.version == {sys.version!r}")
    _STAMP.unlink(missing_ok=True)
    if not is_reusable:
        _make_venv()
    if not _runs("import llama_cpp"):
        _check_compiler()
    steps = _steps(with_tests=with_tests)
    is_installed = _install(steps)
    if is_reusable and not (is_installed and _runs(_PROOF)):
        print("The environment is damaged; making it anew.", flush=True)
        _check_compiler()
        _make_venv()
        is_installed = _install(steps)
    if not (is_installed and _runs(_PROOF)):
        raise SetupError(_failure())
    wanted = wanted_stamp(_pyproject(), with_tests=with_tests)
    _STAMP.write_text(json.dumps({**(stamp if is_reusable else {}), **wanted}, indent=2), encoding="utf-8")


def _check_compiler() -> None:
    problem = compiler.missing_compiler()
    if problem:
        raise SetupError(problem)


def _make_venv() -> None:
    print(f"Making the environment {_VENV}", flush=True)
    if _VENV.is_symlink():
        _VENV.unlink()
    shutil.rmtree(_VENV, ignore_errors=True)
    result = subprocess.run(
        [sys.executable, "-m", "venv", str(_VENV)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SetupError(f"The environment cannot be made: {(result.stderr or result.stdout).strip()}")


def _install(steps: Iterable[Sequence[str]]) -> bool:
    print(
        "Installing what Puna needs; llama.cpp is compiled, which takes about three minutes once.", flush=True
    )
    environ = {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1), **os.environ, "PYTHONUNBUFFERED": "1"}
    pip = [str(venv_python()), "-m", "pip", "install", "-v", "--no-input", "--disable-pip-version-check"]
    return all(progress.run_with_progress([*pip, *step], _LOG, environ) == 0 for step in steps)


def _steps(*, with_tests: bool) -> list[list[str]]:
    """Return the arguments of pip, for one call after the other."""
    puna = ["--editable", str(ROOT)]
    if not with_tests:
        return [puna]
    # pip itself knows `--group` only since 25.1, and a fresh environment may have an older one.
    steps = [[*puna, *_table(_pyproject(), "dependency-groups")["test"]]]
    lone = lone_packages(_pyproject())
    return [*steps, ["--no-deps", *lone]] if lone else steps


def _failure() -> str:
    try:
        lines = _LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
    except OSError:
        lines = []
    return "\n".join([*lines, f"The installation failed; the lines above are the end of {_LOG}."])


def _runs(statement: str) -> bool:
    python = venv_python()
    if not python.exists():
        return False
    result = subprocess.run([str(python), "-P", "-c", statement], capture_output=True, check=False)
    return result.returncode == 0


def _runs_with_tools() -> bool:
    return sys.prefix != sys.base_prefix and all(importlib.util.find_spec(name) for name in _TOOLS)


def _pyproject() -> dict[str, object]:
    problem = python_problem(sys.version_info[:2])
    if problem:
        raise SetupError(problem)
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _table(pyproject: Mapping[str, object], name: str) -> dict[str, list[str]]:
    table = pyproject.get(name)
    if not isinstance(table, dict):
        raise SetupError(f"pyproject.toml has no table [{name}]; take it from the repository again.")
    return table


def _read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(_STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
