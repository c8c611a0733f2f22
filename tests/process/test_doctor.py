"""`puna doctor` as a user runs it: on a sound installation, beside a daemon, and on one that is broken."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from process.conftest import StartDaemon, environment, wait_until
from puna.client import ControlClient
from puna.launch import child_command

Doctor = Callable[..., "subprocess.CompletedProcess[str]"]
SECRETS = {
    "HF_TOKEN": "hf_" + "SecretOfThisTest" * 2,
    "NGROK_AUTHTOKEN": "2SecretOfThisTestSecretOfTh_SecretOfThisTestSecretOfTh",
    "PUNA_TEST_API_KEY": "puna_SecretOfThisTestSecretOfThisTest",
}


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Run the command as a process of its own; what is given changes its environment."""

    def run(*flags: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        surroundings = {**environment(tmp_path), "HF_HUB_OFFLINE": "1", **changes}
        return subprocess.run(
            child_command("doctor", *flags),
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


def told(ended: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert ended.stderr == ""
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def finding_of(report: dict[str, Any], section: str, subject: str) -> dict[str, Any]:
    """Return the one finding of this name."""
    [found] = [
        each for each in report["findings"] if (each["section"], each["subject"]) == (section, subject)
    ]
    assert isinstance(found, dict)
    return found


def test_a_sound_installation_is_told_to_be_well(doctor: Doctor, tmp_path: Path) -> None:
    report = told(doctor("--json", PUNA_PORT="0"))
    problems = [each for each in report["findings"] if each["verdict"] == "problem"]
    assert problems == []
    assert finding_of(report, "llama.cpp", "trial")["text"].startswith("the demo model runs on ")
    assert "CPU" in finding_of(report, "llama.cpp", "back ends")["text"]
    assert finding_of(report, "Puna", "daemon")["text"] == "does not run"
    assert report["hardware"]["llama"]["binding"]
    assert report["hardware"]["models"] == []
    assert list(tmp_path.iterdir()) == [], "a doctor must change nothing"


def test_the_table_ends_with_what_to_do_and_fails_for_a_problem(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ended = doctor(PUNA_PORT=str(port))
    assert ended.returncode == 1
    assert f"PROBLEM  port           Port {port} on 127.0.0.1 is taken by " in ended.stdout
    assert "Something does not work. What to do:\n  1. " in ended.stdout
    assert "\x1b" not in ended.stdout
    assert ended.stderr == ""


def test_beside_a_daemon_it_tells_what_each_model_uses_and_why_not_more(
    doctor: Doctor, start_daemon: StartDaemon
) -> None:
    daemon = start_daemon()
    daemon.wait_for_model()
    report = told(doctor("--json"))
    assert finding_of(report, "Puna", "daemon")["text"] == (
        f"runs at {daemon.endpoint.url} (process {daemon.process.pid})"
    )
    [use] = report["hardware"]["models"]
    assert (use["id"], use["threads"], use["threads_reason"]) == ("demo", 1, "the setting threads is 1")
    assert use["context_reason"] == "all that the model was trained for"
    assert 0 <= use["gpu_layers"] <= use["layers"]
    assert use["layers_reason"]
    assert [need["device"] for need in use["needs"]]
    table = doctor().stdout
    assert "\nIn memory\n         demo           runs on     " in table
    assert "threads     1: the setting threads is 1\n" in table
    assert [worker.name() for worker in daemon.workers], "the daemon keeps its worker"


def test_neither_the_daemon_nor_the_command_loads_llama_cpp(
    doctor: Doctor, start_daemon: StartDaemon
) -> None:
    """The daemon answers for the hardware from what a child told, and the child is gone."""
    daemon = start_daemon("--no-load-on-start")
    look = ControlClient(daemon.endpoint, 60.0).hardware
    wait_until(
        lambda: look().llama is not None
    )  # a daemon that is asked does not wait long for the first look
    report = told(doctor("--json"))
    assert report["hardware"]["llama"]["backends"]
    if sys.platform == "linux":
        mapped = {Path(each.path).name for each in psutil.Process(daemon.process.pid).memory_maps()}
        assert not [name for name in mapped if name.startswith(("libllama", "libggml"))]
    assert daemon.workers == []
    code = (
        "import asyncio, os, sys; from puna.doctor.examination import Examination; from puna.paths import Paths; "
        "asyncio.run(Examination(Paths.for_user(), os.environ).run()); "
        "sys.exit(bool({'llama_cpp', 'numpy'} & set(sys.modules)))"
    )
    surroundings = {**environment(daemon.paths.state_dir.parent), "HF_HUB_OFFLINE": "1"}
    assert subprocess.run([sys.executable, "-c", code], env=surroundings, check=False).returncode == 0


def test_no_secret_is_printed(doctor: Doctor, start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon("--no-load-on-start")
    token_file = tmp_path / "token"
    token_file.write_text("hf_" + "TokenOfTheFile" * 3)
    token_file.chmod(0o644)
    hub = "http://user:PasswordOfTheHub@127.0.0.1:9"
    open_places = {"HF_TOKEN_PATH": str(token_file), "HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0"}
    for ended in (doctor("--json", **SECRETS, **open_places), doctor(**open_places)):
        output = " ".join((ended.stdout + ended.stderr).split())  # long lines are folded
        assert "SecretOfThisTest" not in output
        assert "TokenOfTheFile" not in output
        assert "PasswordOfTheHub" not in output
        assert daemon.endpoint.token not in output
        assert "127.0.0.1:9 cannot be reached" in output
        assert sys.platform == "win32" or f"other users may read {token_file}" in output


def test_a_broken_installation_is_told_and_not_stumbled_over(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "puna.toml").write_text("port = 'eight thousand'\n")
    (tmp_path / "state").write_text("a file where a folder belongs")
    models = tmp_path / "models"
    models.mkdir()
    (models / "broken.gguf").write_bytes(b"GGUF")
    ended = doctor("--json")
    report = told(ended)
    assert (ended.returncode, report["verdict"]) == (1, "problem")
    assert "port must be a whole number" in finding_of(report, "Puna", "settings")["text"]
    assert "cannot be written to" in finding_of(report, "Files", "state")["text"]
    assert all(each["advice"] for each in report["findings"] if each["verdict"] != "ok")

    (tmp_path / "puna.toml").write_text(f"model_folders = ['{models.as_posix()}', 'gone']\nport = 0\n")
    report = told(doctor("--json"))
    assert "broken.gguf" in finding_of(report, "Models", "broken")["text"]
    assert finding_of(report, "Models", "folders")["text"].endswith("gone does not exist")


def test_a_llama_cpp_that_cannot_be_loaded_is_told_with_its_reason(doctor: Doctor, tmp_path: Path) -> None:
    """A package that fails as a missing CUDA library makes the real one fail."""
    broken = tmp_path / "packages" / "llama_cpp"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(
        "raise OSError('/opt/cuda/libcudart.so.12: cannot open shared object file')\n"
    )
    path = os.pathsep.join((str(broken.parent), environment(tmp_path)["PYTHONPATH"]))
    ended = doctor("--json", PYTHONPATH=path, PUNA_PORT="0")
    report = told(ended)
    assert ended.returncode == 1
    library = finding_of(report, "llama.cpp", "library")
    assert library["verdict"] == "problem"
    assert "OSError: libcudart.so.12: cannot open shared object file" in library["text"]
    assert report["to_do"][0].startswith("Install it anew: pip install ")
