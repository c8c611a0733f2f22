"""Downloads of real daemons from a fake Hub in a process of its own, killed in the middle and taken up again."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from process.conftest import RunningDaemon, StartDaemon, environment, wait_until
from puna.domain.downloads import Download, DownloadState
from puna.hub.cache import RepoFolder
from puna.model_client import ModelClient
from puna.paths import Paths

REPO = "acme/demo-GGUF"
FILE = "demo-Q8_0.gguf"
NAME = f"{REPO}:Q8_0"
CONTENT = (Path(__file__).parents[2] / "daemon" / "puna" / "assets" / "demo.gguf").read_bytes()
ETAG = hashlib.sha256(CONTENT).hexdigest()
TESTS = Path(__file__).parents[1]


@dataclass
class HubProcess:
    """The fake Hub, in a process of its own."""

    url: str

    def turn(self, **knobs: Any) -> None:
        assert requests.post(f"{self.url}/_knobs", json=knobs, timeout=60).status_code == 200

    def content(self) -> list[dict[str, Any]]:
        """Return the requests for content so far."""
        asked = requests.get(f"{self.url}/_asked", timeout=60).json()
        return [each for each in asked if each["path"].startswith("/cdn/")]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    repo = tmp_path / "repos" / "acme" / "demo-GGUF"
    repo.mkdir(parents=True)
    (repo / FILE).write_bytes(CONTENT)
    (repo / "base.txt").write_text("acme/demo")
    base = tmp_path / "repos" / "acme" / "demo"
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"weights")
    (repo / "README.md").write_text("---\nlicense: mit\n---\n# The demo model\n")
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "fakes" / "fake_hub.py"), str(tmp_path / "repos")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield HubProcess(process.stdout.readline().strip())
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def start(start_daemon: StartDaemon, hub: HubProcess) -> Callable[[], RunningDaemon]:
    def start() -> RunningDaemon:
        return start_daemon("--hub-endpoint", hub.url, "--no-load-on-start")

    return start


def client_of(daemon: RunningDaemon) -> ModelClient:
    return ModelClient(daemon.endpoint)


def wait_for_end(client: ModelClient, download: Download) -> Download:
    return list(client.follow(download))[-1]


def test_a_killed_daemon_goes_on_at_the_byte_where_it_stopped(
    start: Callable[[], RunningDaemon], hub: HubProcess, tmp_path: Path
) -> None:
    hub.turn(stall_after=1_500_000)
    daemon = start()
    begun = client_of(daemon).begin(NAME)
    part = RepoFolder(tmp_path / "hub", REPO).part(ETAG)
    wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000)
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    have = part.stat().st_size
    assert 1_000_000 < have < len(CONTENT)
    assert part.read_bytes() == CONTENT[:have]

    client = client_of(start())
    done = wait_for_end(client, next(each for each in client.downloads() if each.id == begun.id))
    assert done.state is DownloadState.DONE
    assert done.path is not None
    assert Path(done.path).read_bytes() == CONTENT
    first, second = hub.content()
    assert (first["range"], second["range"]) == (None, f"bytes={have}-")
    assert second["sent"] == len(CONTENT) - have
    assert not part.exists()


def test_a_stopped_daemon_goes_on_after_the_next_start_and_a_paused_download_waits(
    start: Callable[[], RunningDaemon], hub: HubProcess
) -> None:
    hub.turn(delay_s=0.1)
    daemon = start()
    client = client_of(daemon)
    begun = client.begin(NAME)
    wait_until(lambda: client.downloads()[0].done_bytes > 500_000)
    assert daemon.stop() == 0

    daemon = start()
    client = client_of(daemon)
    wait_until(lambda: client.downloads()[0].done_bytes > 1_000_000)
    paused = client.pause(begun)
    assert paused.state is DownloadState.PAUSED
    assert daemon.stop() == 0

    hub.turn(delay_s=0)
    client = client_of(start())
    [waiting] = client.downloads()
    assert (waiting.state, waiting.done_bytes) == (DownloadState.PAUSED, paused.done_bytes)
    assert wait_for_end(client, client.begin(NAME)).state is DownloadState.DONE


def test_a_cancelled_download_leaves_nothing(
    start: Callable[[], RunningDaemon], hub: HubProcess, tmp_path: Path
) -> None:
    hub.turn(delay_s=0.1)
    client = client_of(start())
    begun = client.begin(NAME)
    wait_until(lambda: client.downloads()[0].done_bytes > 500_000)
    assert client.cancel(begun).state is DownloadState.CANCELLED
    assert list((RepoFolder(tmp_path / "hub", REPO).path / "blobs").iterdir()) == []


def test_locallab_loads_a_model_that_was_not_on_disk(
    start: Callable[[], RunningDaemon], hub: HubProcess
) -> None:
    daemon = start()
    answer = requests.post(f"{daemon.url}/models/load", json={"model_id": REPO}, timeout=60)
    assert answer.json() == {"status": "success", "message": f"Model {NAME} loaded successfully"}
    available = requests.get(f"{daemon.url}/models/available", timeout=60).json()
    assert available["current_model"] == NAME
    assert {model["id"]: model["is_loaded"] for model in available["models"]} == {"demo": False, NAME: True}
    answer = requests.post(
        f"{daemon.url}/generate", json={"prompt": "Hi", "model_id": NAME, "max_length": 4}, timeout=60
    )
    assert answer.json()["model"] == NAME


def test_locallab_says_that_a_model_is_on_its_way(
    start: Callable[[], RunningDaemon], hub: HubProcess
) -> None:
    hub.turn(delay_s=0.3)
    daemon = start()
    answer = requests.post(f"{daemon.url}/models/load/{REPO}", json={}, timeout=60)
    assert answer.json()["status"] == "loading"
    assert "is being downloaded" in answer.json()["message"]
    coming = requests.get(f"{daemon.url}/models/available", timeout=60).json()["models"][-1]
    assert (coming["id"], coming["can_load"], coming["is_loaded"]) == (NAME, False, False)
    status = requests.get(f"{daemon.url}/models/status/{REPO}", timeout=60).json()
    assert not status["is_loaded"]
    assert 0 <= status["loading_progress"] < 1
    hub.turn(delay_s=0)
    wait_until(lambda: any(model.id == NAME and model.state == "ready" for model in daemon.status.models), 60)


def test_ollamas_pull_tells_how_far_it_is(start: Callable[[], RunningDaemon], hub: HubProcess) -> None:
    from ollama import Client

    hub.turn(delay_s=0.005)
    daemon = start()
    with closing(Client(daemon.url, headers={"Authorization": f"Bearer {daemon.endpoint.token}"})) as real:
        lines = list(real.pull(f"hf.co/{NAME}", stream=True))
        listed = [model.model for model in real.list().models]
        again = [line.status for line in real.pull(NAME, stream=True)]
    assert [line.status for line in (lines[0], *lines[-3:])] == [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    layers = [line for line in lines if line.digest]
    assert {line.digest for line in layers} == {f"sha256:{ETAG}"}
    completed = [line.completed or 0 for line in layers]
    assert completed == sorted(completed)
    assert len(completed) > 2
    assert (completed[-1], layers[-1].total) == (len(CONTENT), len(CONTENT))
    assert NAME in listed
    assert again == ["pulling manifest", "success"]


def test_a_base_repository_brings_its_conversion_and_leads_to_it_from_then_on(
    start: Callable[[], RunningDaemon], hub: HubProcess
) -> None:
    daemon = start()
    client = client_of(daemon)
    done = wait_for_end(client, client.begin("acme/demo"))
    assert (done.name, done.state) == (NAME, DownloadState.DONE)
    answer = requests.post(f"{daemon.url}/models/load", json={"model_id": "acme/demo"}, timeout=60)
    assert answer.json()["message"] == f"Model {NAME} loaded successfully"


# The command line


def puna(home: Path, *arguments: str, code: int = 0) -> str:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "puna", *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_the_command_line_finds_brings_shows_and_removes_models(
    start: Callable[[], RunningDaemon], hub: HubProcess, tmp_path: Path
) -> None:
    start()
    assert REPO in puna(tmp_path, "search", "demo")
    assert f"{NAME} is here (6.0 MB)" in puna(tmp_path, "pull", REPO)
    assert NAME in puna(tmp_path, "ls")
    shown = puna(tmp_path, "show", NAME)
    assert "Q8_0" in shown
    assert FILE in shown
    assert "# The demo model" in puna(tmp_path, "show", REPO, "--card")
    assert "100 %" in puna(tmp_path, "pull", "--list")
    assert "6.0 MB are free again" in puna(tmp_path, "rm", NAME)
    assert not RepoFolder(tmp_path / "hub", REPO).path.exists()
    assert NAME not in puna(tmp_path, "ls")

    file = tmp_path / "my own.gguf"
    file.write_bytes(CONTENT)
    assert "mine is listed" in puna(tmp_path, "add", str(file), "--name", "mine")
    assert "mine" in puna(tmp_path, "ls")
    assert "mine is forgotten" in puna(tmp_path, "rm", "mine")
    assert file.exists()


def test_ctrl_c_pauses_a_pull_and_the_same_command_goes_on(
    start: Callable[[], RunningDaemon], hub: HubProcess, tmp_path: Path
) -> None:
    hub.turn(delay_s=0.5)
    client = client_of(start())
    pulling = subprocess.Popen(
        [sys.executable, "-P", "-m", "puna", "pull", NAME],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert pulling.stdout is not None
    assert "downloading" in pulling.stdout.readline()
    pulling.send_signal(signal.SIGINT)
    out, _ = pulling.communicate(timeout=60)
    assert pulling.returncode == 130, out
    assert f"`puna pull {NAME}` goes on" in out
    assert client.downloads()[0].state is DownloadState.PAUSED
    hub.turn(delay_s=0)
    assert "is here" in puna(tmp_path, "pull", NAME)


def test_without_the_hub_what_is_on_disk_works_and_the_rest_says_so_at_once(
    start_daemon: StartDaemon, hub: HubProcess, tmp_path: Path
) -> None:
    daemon = start_daemon("--hub-endpoint", hub.url, "--no-load-on-start")
    puna(tmp_path, "pull", NAME)
    assert daemon.stop() == 0
    start_daemon("--offline", "--no-load-on-start")
    assert f"{NAME} is here" in puna(tmp_path, "pull", NAME)
    began = time.monotonic()
    said = puna(tmp_path, "pull", "acme/other-GGUF", code=1)
    assert "Offline: " in said
    assert "Models on disk still work." in said
    assert time.monotonic() - began < 15
    assert "Offline: " in puna(tmp_path, "search", "llama", code=1)


def test_the_token_is_in_no_log(
    start: Callable[[], RunningDaemon], hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "HF_TOKEN", "hf_owner0123456789")
    monkeypatch.setitem(os.environ, "PUNA_LOG_LEVEL", "debug")
    daemon = start()
    client = client_of(daemon)
    wait_for_end(client, client.begin(NAME))
    asked = requests.get(f"{hub.url}/_asked", timeout=60).json()
    assert {each["token"] for each in asked if not each["path"].startswith("/cdn/")} == {"hf_owner0123456789"}
    assert {each["token"] for each in asked if each["path"].startswith("/cdn/")} == {None}
    assert daemon.stop() == 0
    assert b"hf_owner0123456789" not in Paths.under(tmp_path).daemon_log.read_bytes()
