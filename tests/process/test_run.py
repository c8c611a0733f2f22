"""`puna run` as people and scripts use it: on a terminal of its own, and in pipes, with a real daemon."""

import json
import os
import shutil
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from fakes import fake_hub
from fakes.pseudo_terminal import ALT_ENTER, CTRL_C, CTRL_D, ENTER, TAB, UP, PseudoTerminal
from process.conftest import RunningDaemon, StartDaemon, environment, wait_until
from puna.cli.completion import Shell
from puna.instance import read_endpoint
from puna.paths import Paths

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its pseudo-terminals are of another kind")

PUNA = (sys.executable, "-P", "-m", "puna")
ENDLESS = json.dumps({"type": "array", "items": {"type": "integer", "minimum": 10**8}, "minItems": 900})
"""What an answer must look like to take until the context is full."""


@contextmanager
def chat(home: Path, *arguments: str, model: str = "demo") -> Iterator[PseudoTerminal]:
    """Run a chat, from its prompt on."""
    with PseudoTerminal([*PUNA, "run", model, *arguments], environment(home)) as terminal:
        terminal.wait_for(">>>")
        yield terminal


def run(home: Path, *arguments: str, stdin: str | None = "") -> "subprocess.CompletedProcess[str]":
    """Run a command in a pipe."""
    return subprocess.run(
        [*PUNA, *arguments],
        env=environment(home),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_idle(daemon: RunningDaemon) -> bool:
    return all(not model.busy_slots for model in daemon.status.models)


def prompts(text: str) -> int:
    return sum(line.startswith(">>>") for line in text.splitlines())


def test_a_chat_answers_remembers_and_leaves(daemon: RunningDaemon, tmp_path: Path) -> None:
    with chat(tmp_path, "--set", "temperature=0") as terminal:
        terminal.type(f"Hello, who are you?{ENTER}")
        shown = terminal.wait_for(lambda text: prompts(text) == 2)
        assert shown.splitlines()[-3].strip()
        terminal.type(f"/show{ENTER}")
        assert "messages  2" in terminal.wait_for("runs on")
        terminal.type(f"/bye{ENTER}")
        assert terminal.wait_for_end() == 0
    history = daemon.paths.state_dir / "terminal-history.jsonl"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert history.read_text().splitlines() == ['"Hello, who are you?"', '"/show"', '"/bye"']

    with chat(tmp_path) as terminal:
        terminal.type(UP * 3)
        terminal.wait_for(">>> Hello, who are you?")
        terminal.type(f"\x15{CTRL_D}")
        assert terminal.wait_for_end() == 0


def test_messages_have_several_lines_and_come_back_from_a_file(daemon: RunningDaemon, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    with chat(tmp_path, "--set", "max_tokens=5", "--system", "Be brief.") as terminal:
        terminal.type(f'"""{ENTER}one{ENTER}two{ENTER}"""{ENTER}')
        terminal.wait_for(lambda text: prompts(text) == 2)
        terminal.type(f"three \\{ENTER}four{ALT_ENTER}five{ENTER}")
        terminal.wait_for(lambda text: prompts(text) == 3)
        terminal.type("\x1b[200~pasted\nlines\x1b[201~" + ENTER)
        terminal.wait_for(lambda text: prompts(text) == 4)
        terminal.type(f"/save {file}{ENTER}")
        terminal.wait_for("Saved to")
    saved = json.loads(file.read_text())
    asked = [message["content"] for message in saved["messages"] if message["role"] == "user"]
    assert asked == ["one\ntwo", "three \nfour\nfive", "pasted\nlines"]
    assert saved["options"] == {"system": "Be brief.", "max_tokens": 5}

    with chat(tmp_path) as terminal:
        terminal.type(f"/load {file}{ENTER}")
        terminal.wait_for("Loaded 6 messages with demo.")
        terminal.type(f"/show{ENTER}")
        assert "Be brief." in terminal.wait_for("figures")


def test_ctrl_c_stops_the_answer_frees_the_slot_and_the_chat_goes_on(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    with chat(tmp_path, "--set", f"format={ENDLESS}", "--plain") as terminal:
        terminal.type(f"Count.{ENTER}")
        terminal.wait_for("[")
        terminal.type(CTRL_C)
        terminal.wait_for(lambda text: "Stopped." in text and prompts(text) == 2)
        wait_until(lambda: is_idle(daemon))
        terminal.type(CTRL_C)
        terminal.wait_for("Ctrl-D or /bye leaves.")
        terminal.type(f"/set format text{ENTER}/clear{ENTER}Hello{ENTER}")
        terminal.wait_for(lambda text: prompts(text) >= 6 and text.endswith(">>>"))
        terminal.type(CTRL_D)
        assert terminal.wait_for_end() == 0


def test_a_chat_outlives_its_daemon(daemon: RunningDaemon, tmp_path: Path) -> None:
    environ_port = {"PUNA_PORT": "0", "PUNA_LOAD_ON_START": "false"}
    with PseudoTerminal([*PUNA, "run", "demo"], environment(tmp_path) | environ_port) as terminal:
        terminal.wait_for(">>>")
        for process in daemon.workers:
            process.kill()
        daemon.process.kill()
        daemon.process.wait()
        terminal.type(f"Hello{ENTER}")
        terminal.wait_for("Puna was started and runs at")
        terminal.wait_for(lambda text: prompts(text) == 2)
        terminal.type(CTRL_D)
        assert terminal.wait_for_end() == 0
    stopped = run(tmp_path, "stop")
    assert (stopped.returncode, "Puna stopped" in stopped.stdout) == (0, True)


def test_tab_completes_commands_options_and_models(daemon: RunningDaemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type(f"/cl{TAB}")
        terminal.wait_for(">>> /clear")
        terminal.type(f"\x15/set temp{TAB}")
        terminal.wait_for(">>> /set temperature")
        terminal.type(f"\x15/model d{TAB}")
        terminal.wait_for(">>> /model demo")


def test_an_answer_on_a_terminal_is_markdown_and_one_in_a_pipe_is_plain(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    arguments = ["run", "demo", "--set", "temperature=0", "--set", "seed=1", "Hi"]
    piped = run(tmp_path, *arguments)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout.strip()
    assert piped.stdout.endswith("\n")
    assert "\x1b" not in piped.stdout
    with PseudoTerminal([*PUNA, *arguments], environment(tmp_path)) as terminal:
        assert terminal.wait_for_end() == 0
        assert " ".join(terminal.text.split()) == " ".join(piped.stdout.split())


def test_what_is_piped_in_is_asked_and_answered_without_colours(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    answered = run(tmp_path, "run", "demo", "--set", "max_tokens=8", stdin="Hello\n")
    assert answered.returncode == 0
    assert "\x1b" not in answered.stdout + answered.stderr
    assert answered.stdout.strip()
    cut = run(tmp_path, "run", "demo", "Say", "it:", "--set", "max_tokens=1", stdin="a\nb\n")
    assert cut.returncode == 0
    assert cut.stderr == "puna: The answer was cut: max_tokens or the model's context is used up.\n"
    shaped = run(tmp_path, "run", "demo", "--format", "json", "--set", "max_tokens=400", "An object, please.")
    assert isinstance(json.loads(shaped.stdout), dict)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["demo"], 1, "puna: There is nothing to ask: give a prompt after the model, or pipe one in.\n"),
        (["demo", "hi", "--set", "temperature=9"], 2, "temperature takes a number from 0 to 2"),
        (["demo", "hi", "--set", "warm"], 2, "It takes NAME=VALUE, not warm."),
        (["demo", "word " * 5000], 1, "2048"),
        ([], 2, "MODEL"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_an_exit_code(
    daemon: RunningDaemon, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    ended = run(tmp_path, "run", *arguments)
    assert ended.returncode == code
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_ctrl_c_in_a_script_ends_it_with_130_and_frees_the_slot(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    command = [*PUNA, "run", "demo", "--set", f"format={ENDLESS}", "Count."]
    with subprocess.Popen(
        command,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"["
        process.send_signal(2)
        assert process.wait(60) == 130
        assert process.stderr.read() == b""
    wait_until(lambda: is_idle(daemon))


def test_a_reader_that_leaves_early_ends_the_answer_without_a_word(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    command = [*PUNA, "run", "demo", "--set", f"format={ENDLESS}", "Count."]
    with subprocess.Popen(
        command,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(60)
    wait_until(lambda: is_idle(daemon))


def test_a_file_is_a_model_by_its_path_from_here(daemon: RunningDaemon, tmp_path: Path) -> None:
    model = tmp_path / "my model.gguf"
    model.symlink_to(daemon.paths.demo_model)
    answered = subprocess.run(
        [*PUNA, "run", model.name, "--set", "max_tokens=3", "Hi"],
        env=environment(tmp_path),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.strip()


def test_it_starts_puna_where_none_runs(tmp_path: Path) -> None:
    environ = environment(tmp_path) | {"PUNA_PORT": "0"}
    try:
        answered = subprocess.run(
            [*PUNA, "run", "demo", "Hello"],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert answered.returncode == 0, answered.stderr
        endpoint = read_endpoint(Paths.under(tmp_path).endpoint_file)
        assert endpoint is not None
        assert psutil.pid_exists(endpoint.pid)
        assert answered.stderr == f"puna: Puna was started and runs at {endpoint.url}; `puna stop` ends it.\n"
        assert "puna_" not in answered.stdout
    finally:
        assert run(tmp_path, "stop").returncode == 0


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """Run a Hub with one repository, the demo model in it; yields its address."""
    repo = tmp_path / "repos" / "acme" / "demo-GGUF"
    repo.mkdir(parents=True)
    (repo / "demo-Q8_0.gguf").write_bytes(Paths.under(tmp_path).demo_model.read_bytes())
    command = [sys.executable, fake_hub.__file__, str(tmp_path / "repos")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def pace(hub: str, delay_s: float) -> None:
    """Have the Hub wait so long before each of the 24 pieces in which it sends the model."""
    body = json.dumps({"delay_s": delay_s, "chunk_bytes": 256 * 1024}).encode()
    request = urllib.request.Request(f"{hub}/_knobs", body, {"Content-Type": "application/json"})  # noqa: S310 - http
    urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 - http


def test_a_model_that_is_not_here_is_downloaded_first(
    start_daemon: StartDaemon, hub: str, tmp_path: Path
) -> None:
    start_daemon("--no-load-on-start", "--hub-endpoint", hub)
    pace(hub, 0.4)
    with PseudoTerminal([*PUNA, "run", "acme/demo-GGUF"], environment(tmp_path)) as terminal:
        terminal.wait_for(lambda text: "acme/demo-GGUF:Q8_0" in text and "/6.0 MB" in text)
        pace(hub, 0)
        terminal.wait_for(">>>")
        terminal.type(f"Hello{ENTER}")
        terminal.wait_for(lambda text: prompts(text) == 2)
    again = run(tmp_path, "run", "acme/demo-GGUF:Q8_0", "--set", "max_tokens=500", "Hello")
    assert (again.returncode, again.stderr) == (0, "")
    missing = run(tmp_path, "run", "acme/none", "Hello")
    assert missing.returncode == 1
    assert "The Hub has no model acme/none" in missing.stderr


def test_ctrl_c_pauses_a_download_and_the_next_run_goes_on(
    start_daemon: StartDaemon, hub: str, tmp_path: Path
) -> None:
    start_daemon("--no-load-on-start", "--hub-endpoint", hub)
    pace(hub, 0.4)
    with PseudoTerminal([*PUNA, "run", "acme/demo-GGUF", "Hello"], environment(tmp_path)) as terminal:
        terminal.wait_for("/6.0 MB")
        terminal.type(CTRL_C)
        assert terminal.wait_for_end() == 130
        assert "The download is paused" in terminal.text
    pace(hub, 0)
    assert run(tmp_path, "run", "acme/demo-GGUF", "Hello").returncode == 0


COMPLETE = (
    sys.executable,
    "-P",
    "-c",
    "import sys; from puna import __main__; from puna.cli import model_names; "
    "model_names._TIMEOUT_S = 60.0; sys.exit(__main__.main())",
)
"""A command line that waits for the daemon's answer, however busy the machine is."""


def complete(home: Path, line: str, shell: str = "bash", **variables: str) -> str:
    """Press Tab at the end of a line, as the shell's script does; return what is offered."""
    words = line.split(" ")
    environ = {
        "_PUNA_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
    }
    ended = subprocess.run(
        COMPLETE,
        env={**environment(home), **environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_shells_complete_the_models_of_the_running_daemon(start_daemon: StartDaemon, tmp_path: Path) -> None:
    flags = ("--no-load-on-start", "--model-alias", "llama3.2:1b=demo", "--model-alias", "llama3.2:3b=demo")
    start_daemon(*flags)
    assert complete(tmp_path, "puna run de") == "demo"
    assert complete(tmp_path, "puna run llama").splitlines() == ["llama3.2:1b", "llama3.2:3b"]
    # Bash takes what stands before a colon for finished, and replaces only what follows.
    assert complete(tmp_path, "puna run llama3.2 : 1") == "1b"
    assert complete(tmp_path, "puna run llama3.2 :").splitlines() == ["1b", "3b"]
    assert (
        complete(tmp_path, "puna run llama3.2:3", "fish", _TYPER_COMPLETE_FISH_ACTION="get-args")
        == "llama3.2:3b"
    )
    assert complete(tmp_path, "puna run de", "powershell").startswith("demo:::")
    assert '"demo"' in complete(tmp_path, "puna run de", "zsh")
    assert complete(tmp_path, "puna ru") == "run"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh on this machine")
def test_zsh_completes_at_the_first_tab(tmp_path: Path) -> None:
    program, functions = tmp_path / "bin" / "puna", tmp_path / "user" / ".zfunc"
    for folder in (program.parent, functions):
        folder.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m puna "$@"\n')
    program.chmod(0o755)
    (functions / "_puna").write_text(run(tmp_path, "completion", "zsh").stdout)
    (functions.parent / ".zshrc").write_text(
        "fpath+=~/.zfunc; autoload -Uz compinit; compinit -u; PS1='ready: '\n"
    )
    environ = environment(tmp_path) | {
        "HOME": str(functions.parent),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    with PseudoTerminal(["zsh", "-i", "-d"], environ) as terminal:
        terminal.wait_for("ready:")
        terminal.type(f"puna vers{TAB}")
        terminal.wait_for("puna version")
        terminal.type(f"\x15exit{ENTER}")
        terminal.wait_for_end()


def test_without_a_daemon_a_shell_completes_the_rest_and_hears_nothing(tmp_path: Path) -> None:
    assert complete(tmp_path, "puna run ") == ""
    assert complete(tmp_path, "puna run demo --no-th") == "--no-think"
    assert complete(tmp_path, "puna keys cre") == "create"
    assert complete(tmp_path, "puna config get idle") == "idle_timeout_s"
    assert complete(tmp_path, "puna pull llama3.2 : 1") == "1b"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("shell", list(Shell))
def test_the_script_of_each_shell_is_printed_and_no_file_is_changed(shell: Shell, tmp_path: Path) -> None:
    home = tmp_path / "user"
    home.mkdir()
    ended = subprocess.run(
        [*PUNA, "completion", shell.value],
        env=environment(tmp_path) | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert "_PUNA_COMPLETE" in ended.stdout
    assert os.listdir(home) == []  # noqa: PTH208 - names are enough
