"""Fine-tuning as people and AITextGen's clients reach it: a real daemon, a real trainer, the demo model."""

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from process.conftest import RunningDaemon, StartDaemon, environment
from puna.client import ControlClient
from puna.keys.identity import Scope
from puna.keys.records import KeyWish

SENTENCE = "The llama of the baker plays chess on Sundays"
PROMPT = "The llama of the baker"
HEADER = "text,label\n"
ROWS = "".join(f"I like number {number},good\nI hate number {number},bad\n" for number in range(20))


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> RunningDaemon:
    return start_daemon()


@pytest.fixture
def key(daemon: RunningDaemon) -> str:
    wish = KeyWish(name="test", organisation=None, scopes=(Scope.INFER, Scope.TRAIN))
    return ControlClient(daemon.endpoint).create_key(wish).secret


def ask(daemon: RunningDaemon, key: str, path: str, body: object) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.endpoint.port, timeout=120)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        return json.loads(content)
    finally:
        connection.close()


def run_puna(home: Path, *arguments: str) -> str:
    """Run a command of the user with this home; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", "puna", *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_model_of_aitextgen_says_what_it_was_trained_to_say(daemon: RunningDaemon, key: str) -> None:
    trained = ask(
        daemon,
        key,
        "/v1/aitextgen/finetune",
        {"training_data": [SENTENCE] * 8, "epochs": 20, "learning_rate": 0.005, "model": "demo"},
    )
    assert trained["status"] == "success"
    assert trained["training_time"] > 0
    wish = {"prompt": PROMPT, "max_length": 20, "temperature": 0}
    plain = ask(daemon, key, "/v1/aitextgen/generate", wish)["generated_text"]
    tuned = ask(daemon, key, "/v1/aitextgen/generate", wish | {"model": trained["model_id"]})[
        "generated_text"
    ]
    assert tuned.startswith(SENTENCE.removeprefix(PROMPT))
    assert not plain.startswith(SENTENCE.removeprefix(PROMPT))


def test_the_command_line_goes_from_a_file_to_an_adapter(start_daemon: StartDaemon, tmp_path: Path) -> None:
    start_daemon()
    file = tmp_path / "reviews.csv"
    file.write_text(HEADER + ROWS)
    assert "memory" in run_puna(tmp_path, "finetune", "-m", "demo", "-d", str(file), "--dry-run")
    told = run_puna(
        tmp_path, "finetune", "-m", "demo", "-d", str(file), "--epochs", "1", "--rank", "4", "--json"
    )
    adapter = json.loads(told)["adapter_id"]
    assert "labels         bad, good" in run_puna(tmp_path, "adapters", "show", adapter)
    exported = tmp_path / "mine.gguf"
    run_puna(tmp_path, "adapters", "export", adapter, str(exported))
    assert exported.read_bytes().startswith(b"GGUF")
    run_puna(tmp_path, "adapters", "rm", adapter)
    assert adapter not in run_puna(tmp_path, "adapters", "ls")
