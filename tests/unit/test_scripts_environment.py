"""What scripts/start.py and its kin decide before they touch anything."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import compiler
import environment
from environment import SetupError, is_current, lone_packages, python_problem, venv_problem, wanted_stamp

SCRIPTS = Path(environment.__file__).parent
PYPROJECT: dict[str, object] = {
    "build-system": {"requires": ["hatchling"]},
    "project": {"dependencies": ["a", "b"], "scripts": {"puna": "puna:main"}},
    "dependency-groups": {"test": ["pytest"]},
}


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_each_supported_python_is_taken(version: tuple[int, int]) -> None:
    assert python_problem(version) is None


@pytest.mark.parametrize("version", [(2, 7), (3, 8), (3, 10), (3, 15), (4, 0)])
def test_any_other_python_is_refused_with_the_range(version: tuple[int, int]) -> None:
    message = python_problem(version)
    assert message is not None
    assert "Puna needs Python 3.11 to 3.14" in message
    assert f"this is Python {version[0]}.{version[1]}" in message


@pytest.mark.parametrize("name", ["start.py", "test.py", "environment.py", "compiler.py", "progress.py"])
def test_an_old_python_can_read_the_scripts_far_enough_to_say_so(name: str) -> None:
    tree = ast.parse((SCRIPTS / name).read_text(encoding="utf-8"), feature_version=(3, 8))
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert [alias.name for node in future for alias in node.names] == ["annotations"]


def test_a_python_without_venv_is_told_the_package_of_debian() -> None:
    assert venv_problem({"venv": True, "ensurepip": True}, (3, 11)) is None
    for missing in ("venv", "ensurepip"):
        modules = {"venv": True, "ensurepip": True, missing: False}
        assert "apt install python3.11-venv" in (venv_problem(modules, (3, 11)) or "")


def test_a_stamp_is_current_while_nothing_that_matters_changes() -> None:
    stamp = wanted_stamp(PYPROJECT, with_tests=True)
    assert is_current(stamp, wanted_stamp(PYPROJECT, with_tests=True))
    assert is_current(stamp, wanted_stamp(PYPROJECT, with_tests=False))
    assert not is_current({}, stamp)


def test_an_environment_without_the_tests_is_not_enough_for_the_tests() -> None:
    stamp = wanted_stamp(PYPROJECT, with_tests=False)
    assert not is_current(stamp, wanted_stamp(PYPROJECT, with_tests=True))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("project", {"dependencies": ["a", "c"], "scripts": {"puna": "puna:main"}}),
        ("project", {"dependencies": ["a", "b"], "scripts": {}}),
        ("build-system", {"requires": ["hatchling>=2"]}),
        ("dependency-groups", {"test": ["pytest", "ruff"]}),
    ],
)
def test_a_stamp_is_stale_when_a_dependency_changes(part: str, value: object) -> None:
    stamp = wanted_stamp(PYPROJECT, with_tests=True)
    assert not is_current(stamp, wanted_stamp({**PYPROJECT, part: value}, with_tests=True))


def test_a_stamp_is_stale_when_a_package_without_dependencies_changes() -> None:
    pyproject = {**PYPROJECT, "tool": {"puna": {"test-without-dependencies": ["heavy==1"]}}}
    assert lone_packages(pyproject) == ["heavy==1"]
    assert lone_packages(PYPROJECT) == lone_packages({**PYPROJECT, "tool": {}}) == []
    stamp = wanted_stamp(PYPROJECT, with_tests=True)
    assert not is_current(stamp, wanted_stamp(pyproject, with_tests=True))


def test_a_stamp_is_stale_with_another_python_or_in_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = wanted_stamp(PYPROJECT, with_tests=False)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "3.14.0")
        assert not is_current(stamp, wanted_stamp(PYPROJECT, with_tests=False))
    monkeypatch.setattr(environment, "ROOT", Path("/moved"))
    assert not is_current(stamp, wanted_stamp(PYPROJECT, with_tests=False))


def test_a_pyproject_without_its_tables_is_said() -> None:
    with pytest.raises(SetupError, match=r"no table \[project\]"):
        wanted_stamp({}, with_tests=False)


class Machine:
    """The environment's folder, with what would take minutes replaced and noted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.works = {"import pip": False, "import llama_cpp": False, "import aiohttp": True}
        self.compiler: str | None = None
        self.installs = iter([True, True])
        folder.mkdir()
        self.stamp = folder / "puna-stamp.json"
        self._python = folder / "python"
        monkeypatch.setattr(environment, "_STAMP", self.stamp)
        monkeypatch.setattr(environment, "_LOG", folder / "log")
        monkeypatch.setattr(environment, "venv_python", lambda: self._python)
        monkeypatch.setattr(environment, "_make_venv", self._make_venv)
        monkeypatch.setattr(environment, "_install", self._install)
        monkeypatch.setattr(environment, "_runs", self._runs)
        monkeypatch.setattr(environment, "_runs_with_tools", lambda: False)
        monkeypatch.setattr(compiler, "missing_compiler", lambda: self.compiler)

    def _make_venv(self) -> None:
        self.steps.append("venv")
        self._python.touch()

    def _install(self, steps: list[list[str]]) -> bool:
        has_tests = any("pytest" in requirement for step in steps for requirement in step)
        self.steps.append("install with tests" if has_tests else "install")
        return next(self.installs)

    def _runs(self, statement: str) -> bool:
        return next(works for start, works in self.works.items() if statement.startswith(start))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "venv", monkeypatch)


def test_the_first_run_makes_everything_and_the_second_nothing(machine: Machine) -> None:
    environment.ensure_environment(with_tests=False)
    assert machine.steps == ["venv", "install"]
    environment.ensure_environment(with_tests=False)
    assert machine.steps == ["venv", "install"]


def test_the_tests_are_added_to_what_is_there_and_stay(machine: Machine) -> None:
    environment.ensure_environment(with_tests=False)
    machine.works["import pip"] = True
    environment.ensure_environment(with_tests=True)
    environment.ensure_environment(with_tests=False)
    assert machine.steps == ["venv", "install", "install with tests"]


def test_an_interrupted_run_has_no_stamp_and_the_next_goes_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "_install", interrupt)
        with pytest.raises(KeyboardInterrupt):
            environment.ensure_environment(with_tests=False)
    assert not machine.stamp.exists()
    machine.works["import pip"] = True
    environment.ensure_environment(with_tests=False)
    assert machine.steps == ["venv", "install"]
    assert machine.stamp.exists()


def test_a_damaged_environment_is_made_anew_once(machine: Machine) -> None:
    machine.works["import pip"] = True
    machine.installs = iter([False, True])
    environment.ensure_environment(with_tests=False)
    assert machine.steps == ["install", "venv", "install"]


def test_a_failed_installation_is_said_and_leaves_no_stamp(machine: Machine) -> None:
    machine.installs = iter([False])
    with pytest.raises(SetupError, match="The installation failed"):
        environment.ensure_environment(with_tests=False)
    assert not machine.stamp.exists()


def test_a_missing_compiler_is_said_before_anything_is_compiled(machine: Machine) -> None:
    machine.compiler = "There is no C++ compiler"
    with pytest.raises(SetupError, match="no C"):
        environment.ensure_environment(with_tests=False)
    assert "install" not in machine.steps


def test_no_compiler_is_needed_where_llama_cpp_is_there_already(machine: Machine) -> None:
    machine.compiler = "There is no C++ compiler"
    machine.works.update({"import pip": True, "import llama_cpp": True})
    environment.ensure_environment(with_tests=False)
    assert machine.steps == ["install"]


@pytest.mark.parametrize("stamp", ["", "{", "[]", '{"python": 5}'])
def test_a_damaged_stamp_is_as_none(machine: Machine, stamp: str) -> None:
    machine.stamp.write_text(stamp)
    environment.ensure_environment(with_tests=False)
    assert machine.steps == ["venv", "install"]


@pytest.mark.parametrize(
    ("error", "said"),
    [(SetupError("do this"), "do this\n"), (KeyboardInterrupt(), "Interrupted. Run the same command again")],
)
def test_a_problem_is_a_sentence_and_exit_code_1(
    error: BaseException, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        environment.or_exit(fail)
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(said)


def test_an_old_python_gets_the_sentence_from_start_itself(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    make: Callable[[], Path] = lambda: environment.ensure_environment(with_tests=False)  # noqa: E731
    with pytest.raises(SetupError, match=r"this is Python 3\.9"):
        make()
