"""The commands, in this process, with everything behind them replaced."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from puna import __version__, supervision
from puna.cli import outcome, serve, start, status, stop
from puna.cli.commands import COMMANDS, OTHER_NAMES, build_app
from puna.cli.greeting import curl_line, greeting, own_command
from puna.client import DaemonStatus, ModelStatus
from puna.config import Settings, all_settings
from puna.errors import AlreadyRunningError, ConfigError, NotRunningError, PortInUseError, PunaError
from puna.instance import Endpoint, Presence, Probe
from puna.keys.identity import Scope
from puna.keys.records import Key, NewKey
from puna.paths import Paths
from puna.supervision import Start, StartOutcome, Stop, StopOutcome
from unit.conftest import Run

ENDPOINT = Endpoint(
    pid=42, create_time=0, host="localhost", port=8000, token="the-token", instance="i", version="0.1.0"
)
FIRST = NewKey(
    key=Key(
        id="key_1",
        name="first",
        organisation_id="org_1",
        scopes=(Scope.INFER,),
        hint="puna_abcd",
        created_at=0,
    ),
    secret="puna_abcd-the-secret",
)
STATUS = DaemonStatus(
    instance="i",
    version="0.1.0",
    pid=42,
    uptime_s=3_700,
    address="http://localhost:8000",
    requests=7,
    organisation="org_1",
    models=(
        ModelStatus(
            id="demo",
            state="ready",
            slots=8,
            busy_slots=1,
            context_length=2048,
            threads=2,
            backend="CPU",
            backend_reason="no GPU",
        ),
        ModelStatus(id="big", state="failed", error="out of memory"),
    ),
)


@pytest.fixture
def lifecycle(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """A daemon that says that it is ready and ends; returns the settings of each run."""
    runs: list[Settings] = []
    fake = ModuleType("puna.lifecycle")

    def run_daemon(
        settings: Settings,
        paths: Paths,
        *,
        on_ready: Callable[[Endpoint, NewKey | None], None],
        console: bool,
    ) -> int:
        runs.append(settings)
        on_ready(ENDPOINT, FIRST if console and len(runs) == 1 else None)
        return 0

    fake.__dict__["run_daemon"] = run_daemon
    monkeypatch.setitem(sys.modules, "puna.lifecycle", fake)
    return runs


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_every_command_with_examples_and_exit_codes(puna: Run, arguments: tuple[str, ...]) -> None:
    ended = puna(*arguments)
    assert ended.code == 0
    width = max(map(len, COMMANDS)) + 2
    for name, command in COMMANDS.items():
        assert f"{name:<{width}}{command.summary}" in ended.out
    assert "  puna serve --model ~/llama.gguf " in ended.out
    assert "75  another Puna of this user runs (serve)" in ended.out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_has_help_of_its_own(name: str) -> None:
    ended = CliRunner().invoke(build_app(name), [name, "--help"])
    assert ended.exit_code == 0
    assert ended.output.startswith(f"Usage: puna {name}")
    assert COMMANDS[name].summary in ended.output
    assert name == "version" or f"  puna {name}" in ended.output


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS), ["adapters", "export"]])
def test_no_line_of_the_help_is_broken_by_a_terminal_of_80_columns(arguments: list[str]) -> None:
    app = build_app(arguments[0] if arguments else "")
    shown = CliRunner().invoke(app, [*arguments, "--help"], terminal_width=80).output
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_help_of_serve_and_start_has_every_setting_with_its_range() -> None:
    for name in ("serve", "start"):
        text = " ".join(CliRunner().invoke(build_app(name), [name, "--help"]).output.split())
        for setting in all_settings().values():
            assert f"{setting.flag} " in text
        assert "[a whole number from 0 to 65535; default: 8000]" in text
        assert "--detached" not in text


def test_an_unknown_command_is_wrong_use(puna: Run) -> None:
    ended = puna("nope")
    assert ended.code == 2
    assert "No such command 'nope'" in ended.err


def test_names_of_other_programs_are_told_as_puna_has_them(puna: Run) -> None:
    ended = puna("ps", "--json")
    assert (ended.code, ended.err) == (2, "puna: There is no command ps; `puna status` does that.\n")
    assert set(OTHER_NAMES.values()) <= set(COMMANDS)
    assert not set(OTHER_NAMES) & set(COMMANDS)


def test_version_says_what_a_report_needs(puna: Run) -> None:
    for arguments in (["version"], ["--version"]):
        ended = puna(*arguments)
        assert ended.out.startswith(f"Puna {__version__} (Python 3.")
        assert "llama-cpp-python" in ended.out


def test_only_the_chosen_command_is_imported() -> None:
    script = (
        "import sys; from puna.__main__ import main; main(['version']);"
        "print([name for name in sys.modules if name.startswith(('puna.cli.', 'rich', 'aiohttp', 'llama'))])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    modules = output.splitlines()[-1]
    assert "'puna.cli.version'" in modules
    for absent in ("puna.cli.serve", "puna.cli.status", "rich", "aiohttp", "llama"):
        assert f"'{absent}" not in modules


def test_the_daemon_and_a_worker_load_no_command_line_library() -> None:
    script = (
        "import sys, types; from puna.__main__ import main\n"
        "fake = types.ModuleType('puna.lifecycle'); fake.run_daemon = lambda *a, **k: 0\n"
        "sys.modules['puna.lifecycle'] = fake\n"
        "worker = types.ModuleType('puna.worker'); worker.main = lambda: 7\n"
        "sys.modules['puna.worker'] = worker\n"
        "print(main(['serve', '--port', '0']), main(['worker']))\n"
        "print([name for name in sys.modules if name.startswith(('typer', 'rich'))])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == ["0 7", "[]"]


def test_ctrl_c_while_modules_are_loaded_is_no_traceback(puna: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    worker = ModuleType("puna.worker")
    worker.__dict__["main"] = interrupted
    monkeypatch.setitem(sys.modules, "puna.worker", worker)
    ended = puna("worker")
    assert (ended.code, ended.err) == (130, "")


def test_serve_prints_address_a_curl_line_and_how_to_stop(puna: Run, lifecycle: list[Settings]) -> None:
    ended = puna("serve", "--port", "0", "--no-load-on-start", "--model-folder", "a", "--model-folder=b")
    assert ended.code == 0
    assert ended.out.startswith(
        "Puna 0.1.0 runs at http://localhost:8000 (process 42).\n  Try it:   curl http"
    )
    assert "Stop it:  Ctrl-C here, or: " in ended.out
    [settings] = lifecycle
    assert (settings.port, settings.load_on_start, len(settings.model_folders)) == (0, False, 2)


def test_the_first_serve_shows_a_key_and_the_next_one_does_not(puna: Run, lifecycle: list[Settings]) -> None:
    shown = [puna("serve").out.count(FIRST.secret) for _ in range(2)]
    assert shown == [1, 0]


def test_serve_in_the_background_shows_no_key(
    home: Paths,
    lifecycle: list[Settings],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)  # It goes to another folder, and the tests after this one must not.
    serve.serve_at_once(["--detached"])
    assert FIRST.secret not in capsys.readouterr().out


def test_both_parsers_of_serve_understand_the_same(home: Paths, lifecycle: list[Settings]) -> None:
    arguments = ["serve", "--port=9", "--no-load-on-start", "--threads", "auto", "--allowed-host", "a"]
    assert serve.serve_at_once(arguments[1:]) == 0
    assert CliRunner().invoke(build_app("serve"), arguments).exit_code == 0
    assert lifecycle[0] == lifecycle[1]


@pytest.mark.parametrize("command", ["serve", "start"])
def test_a_wrong_setting_is_one_sentence_and_exit_code_2(puna: Run, command: str) -> None:
    ended = puna(command, "--port", "abc")
    assert ended.code == 2
    assert ended.err == "puna: port must be a whole number from 0 to 65535, not 'abc' (set by --port).\n"
    assert puna(command, "--prot", "1").code == 2


def test_a_broken_settings_file_stops_serve_with_its_line(puna: Run, home: Paths) -> None:
    home.config_file.parent.mkdir(parents=True)
    home.config_file.write_text("port = \n")
    ended = puna("serve")
    assert ended.code == 2
    assert "line 1" in ended.err
    assert "Traceback" not in ended.err


def test_a_misspelt_variable_is_told_at_the_start(
    puna: Run, lifecycle: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUNA_PROT", "1")
    assert "did you mean PUNA_PORT?" in puna("serve").err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (NotRunningError("x"), 3),
        (AlreadyRunningError("x"), 75),
        (PortInUseError("x"), 1),
        (PunaError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int) -> None:
    def fail() -> int:
        raise error

    assert outcome.guarded(fail) == code


def test_an_unexpected_error_is_a_sentence_too_and_a_traceback_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise ZeroDivisionError("oh")

    monkeypatch.delenv("PUNA_DEBUG", raising=False)
    assert outcome.guarded(fail) == 1
    assert capsys.readouterr().err.startswith(
        "puna: Unexpected ZeroDivisionError: oh. This is a mistake in Puna"
    )
    monkeypatch.setenv("PUNA_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        outcome.guarded(fail)


@pytest.fixture
def first_keys(monkeypatch: pytest.MonkeyPatch) -> list[NewKey | PunaError | None]:
    """What the daemon answers when it is asked for the first key, one after the other; None at the end."""
    answers: list[NewKey | PunaError | None] = []

    class Client:
        def __init__(self, endpoint: Endpoint) -> None:
            assert endpoint == ENDPOINT

        def create_first_key(self) -> NewKey | None:
            answer = answers.pop(0) if answers else None
            if isinstance(answer, PunaError):
                raise answer
            return answer

    monkeypatch.setattr(start, "ControlClient", Client)
    return answers


def test_start_shows_the_key_of_the_first_start_once(
    puna: Run, monkeypatch: pytest.MonkeyPatch, first_keys: list[NewKey | PunaError | None]
) -> None:
    monkeypatch.setattr(start, "start_daemon", lambda *_: Start(StartOutcome.STARTED, ENDPOINT))
    first_keys[:] = [FIRST, None]
    assert [puna("start").out.count(FIRST.secret) for _ in range(2)] == [1, 0]
    first_keys[:] = [PunaError("The disk is full.")]
    ended = puna("start")
    assert ended.code == 0
    assert "runs at" in ended.out
    assert "The disk is full. `puna keys create --name NAME` makes one." in ended.err


def test_start_says_where_it_runs(
    puna: Run, monkeypatch: pytest.MonkeyPatch, first_keys: list[NewKey | PunaError | None]
) -> None:
    given: list[list[str]] = []

    def started(paths: Paths, arguments: list[str]) -> Start:
        given.append(arguments)
        return Start(StartOutcome.STARTED, ENDPOINT)

    monkeypatch.setattr(start, "start_daemon", started)
    ended = puna("start", "--port", "8001", "--model-folder", "a", "--no-load-on-start")
    assert ended.code == 0
    assert "runs at http://localhost:8000" in ended.out
    assert "puna stop\n" in ended.out
    assert sorted(given[0]) == ["--model-folder=a", "--no-load-on-start", "--port=8001"]


def test_start_of_what_runs_is_no_error(puna: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "start_daemon", lambda *_: Start(StartOutcome.ALREADY_RUNNING, ENDPOINT))
    ended = puna("start")
    assert (ended.code, ended.out) == (0, "Puna already runs at http://localhost:8000 (process 42).\n")
    assert "`puna stop` first to change them" in puna("start", "--port", "1").out


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (
            Start(StartOutcome.FAILED, None, 1, ("some line", "puna: Port 8000 is taken.")),
            "Puna did not start. Port 8000 is taken.",
        ),
        (Start(StartOutcome.FAILED, None, -11, ("Fatal Python error",)), "(exit code -11)"),
        (Start(StartOutcome.FAILED, None, -11, ("Fatal Python error",)), "\n  Fatal Python error"),
        (Start(StartOutcome.FAILED), "(it does not answer)"),
    ],
)
def test_a_failed_start_says_why(
    puna: Run, monkeypatch: pytest.MonkeyPatch, failed: Start, expected: str
) -> None:
    monkeypatch.setattr(start, "start_daemon", lambda *_: failed)
    ended = puna("start")
    assert ended.code == 1
    assert expected in ended.err


@pytest.mark.parametrize(
    ("outcome_", "code", "expected"),
    [
        (Stop(StopOutcome.NOT_RUNNING), 0, "Puna does not run."),
        (Stop(StopOutcome.STOPPED, ENDPOINT), 0, "Puna stopped (process 42)."),
        (Stop(StopOutcome.KILLED, ENDPOINT), 0, "did not stop in time, so process 42 was ended"),
        (Stop(StopOutcome.FAILED, ENDPOINT), 1, "process 42 could not be ended"),
    ],
)
def test_stop_says_what_it_did(
    puna: Run, monkeypatch: pytest.MonkeyPatch, outcome_: Stop, code: int, expected: str
) -> None:
    waits: list[float | None] = []

    def stopped(paths: Paths, timeout_s: float | None) -> Stop:
        waits.append(timeout_s)
        return outcome_

    monkeypatch.setattr(stop, "stop_daemon", stopped)
    ended = puna("stop", "--timeout", "2.5")
    assert ended.code == code
    assert expected in ended.out + ended.err
    assert waits == [2.5]


def put_status(monkeypatch: pytest.MonkeyPatch, presence: Presence, answer: DaemonStatus = STATUS) -> None:
    class Client:
        def __init__(self, endpoint: Endpoint) -> None:
            assert endpoint == ENDPOINT

        def status(self) -> DaemonStatus:
            return answer

    monkeypatch.setattr(status, "probe", lambda _: Probe(presence, ENDPOINT))
    monkeypatch.setattr(status, "ControlClient", Client)


def test_status_is_a_table(puna: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put_status(monkeypatch, Presence.RUNNING)
    ended = puna("status")
    assert ended.code == 0
    first, organisation, head, demo, big = ended.out.splitlines()
    assert organisation == "The default organisation is org_1."
    assert first == "Puna 0.1.0 runs at http://localhost:8000 (process 42), for 1 h 1 min, with 7 requests."
    assert " ".join(head.split()) == "model state busy waiting context threads runs on tokens"
    assert " ".join(demo.split()) == "demo ready 1 of 8 - 2048 2 CPU (no GPU) - + -"
    assert "failed: out of memory" in big


@pytest.mark.parametrize(("progress", "said"), [(0.425, "loading 42%"), (0.0, "loading"), (None, "loading")])
def test_status_tells_how_far_a_load_is(
    puna: Run, monkeypatch: pytest.MonkeyPatch, progress: float | None, said: str
) -> None:
    loading = ModelStatus(id="demo", state="loading", progress=progress)
    put_status(monkeypatch, Presence.RUNNING, replace(STATUS, models=(loading,)))
    assert puna("status").out.splitlines()[-1].split("  ")[1].strip() == said


def test_status_without_a_model_says_so(puna: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put_status(monkeypatch, Presence.RUNNING, DaemonStatus(instance="i", version="0", pid=1, uptime_s=0))
    assert "No model is loaded" in puna("status").out


def test_status_is_json_for_programs(puna: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put_status(monkeypatch, Presence.RUNNING)
    answer = json.loads(puna("status", "--json").out)
    assert (answer["state"], answer["address"]) == ("running", "http://localhost:8000")
    assert answer["models"][0]["busy_slots"] == 1
    assert "the-token" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("presence", "code", "state"),
    [(Presence.ABSENT, 3, "stopped"), (Presence.STALE, 3, "stopped"), (Presence.STARTING, 4, "starting")],
)
def test_status_tells_by_its_exit_code_that_nothing_answers(
    puna: Run, monkeypatch: pytest.MonkeyPatch, presence: Presence, code: int, state: str
) -> None:
    put_status(monkeypatch, presence)
    assert puna("status").code == code
    ended = puna("status", "--json")
    assert (ended.code, json.loads(ended.out)) == (code, {"state": state})


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_shown_in_two_units(seconds: float, shown: str) -> None:
    assert status.show_duration(seconds) == shown


def test_the_curl_line_suits_the_shell() -> None:
    assert curl_line("http://localhost:1", "linux").endswith(
        """-d '{"prompt": "Once upon a time", "max_length": 100}'"""
    )
    windows = curl_line("http://localhost:1", "win32")
    assert windows.endswith(r'-d "{\"prompt\": \"Once upon a time\", \"max_length\": 100}"')


def test_from_other_addresses_a_key_is_needed(tmp_path: Path) -> None:
    for host, is_needed in {"localhost": False, "0.0.0.0": False, "::": False, "192.168.1.5": True}.items():
        shown = greeting(replace(ENDPOINT, host=host), Paths.under(tmp_path), in_foreground=True)
        assert ('-H "X-Api-Key: KEY"' in shown) is is_needed


def test_a_puna_that_the_shell_does_not_find_is_named_with_its_path(tmp_path: Path) -> None:
    python = str(tmp_path / "python")
    assert own_command(python, None) == "puna"
    name = "puna.exe" if sys.platform == "win32" else "puna"
    (tmp_path / name).touch()
    assert own_command(python, None) == str(tmp_path / name)
    assert own_command(python, "/usr/bin/puna") == "puna"
    (tmp_path / "my tools").mkdir()
    (tmp_path / "my tools" / name).touch()
    assert own_command(str(tmp_path / "my tools" / "python"), None) == f'"{tmp_path / "my tools" / name}"'


def test_the_token_is_never_printed(tmp_path: Path) -> None:
    assert ENDPOINT.token not in greeting(ENDPOINT, Paths.under(tmp_path), in_foreground=True)


def test_serve_and_supervision_agree_on_the_exit_code_for_a_second_daemon() -> None:
    assert outcome.exit_code_of(AlreadyRunningError("x")) == supervision.EXIT_ALREADY_RUNNING == 75
