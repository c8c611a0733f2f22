"""Command lines and environments of Puna's own processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from puna.launch import child_command, child_environment


def test_a_child_runs_the_package_with_this_python() -> None:
    assert child_command("worker") == [sys.executable, "-P", "-m", "puna", "worker"]
    assert child_command("serve", "--port=1")[-2:] == ["serve", "--port=1"]


def test_a_child_of_a_bundle_runs_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert child_command("worker") == [sys.executable, "worker"]


def test_what_lies_in_the_current_folder_is_not_run(tmp_path: Path) -> None:
    for name in ("puna", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('foreign code ran')")
    command = [*child_command("version")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


SECRETS = [
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "NGROK_AUTHTOKEN",
    "OPENAI_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "PUNA_ADMIN_TOKEN",
    "PUNA_KEY",
    "github_token",
    "DB_PASSWORD",
]
KEPT = ["PATH", "HOME", "PUNA_HOME", "PUNA_THREADS", "TOKENIZERS_PARALLELISM", "LD_LIBRARY_PATH", "KEYBOARD"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_does_not_reach_a_child(name: str) -> None:
    assert name not in child_environment({name: "x"})


@pytest.mark.parametrize("name", KEPT)
def test_what_is_no_secret_does(name: str) -> None:
    assert child_environment({name: "x"})[name] == "x"


def test_no_debugger_talks_over_the_last_words_of_a_child() -> None:
    assert child_environment({}) == {"GGML_NO_BACKTRACE": "1"}
    assert child_environment({"GGML_NO_BACKTRACE": "0"}) == {"GGML_NO_BACKTRACE": "0"}


def test_the_daemon_starts_without_what_only_some_requests_need() -> None:
    code = "import sys, puna.lifecycle; print({'jinja2', 'huggingface_hub', 'numpy', 'llama_cpp'} & sys.modules.keys())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
