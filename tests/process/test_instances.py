"""Several daemons, killed daemons and hung daemons: who runs, and who is ended."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from puna import client, instance, launch, supervision
from puna.instance import Endpoint, Presence
from puna.paths import Paths
from puna.supervision import StartOutcome, StopOutcome, start_daemon, stop_daemon

FAKE = Path(__file__).parents[1] / "fakes" / "fake_daemon.py"
Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def spawn(home: Paths) -> Iterator[Spawn]:
    """Start fake daemons; none outlives the test."""
    children: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(FAKE), *options]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def wait_until_ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"


def endpoint_of(paths: Paths) -> Endpoint:
    endpoint = instance.read_endpoint(paths.endpoint_file)
    assert endpoint is not None
    return endpoint


def test_of_ten_that_start_at_once_one_runs_and_nine_say_so(spawn: Spawn, home: Paths) -> None:
    children = [spawn() for _ in range(10)]
    losers = [child for child in children if _lost(child)]
    assert len(losers) == 9
    said = [child.communicate()[1] for child in losers]
    assert all("already runs at http://127.0.0.1:" in text or "is just starting" in text for text in said)
    [winner] = [child for child in children if child not in losers]
    assert endpoint_of(home).pid == winner.pid
    assert client.probe(home).presence is Presence.RUNNING


def _lost(child: subprocess.Popen[str]) -> bool:
    """Whether this one ended with 75; the one that runs says `ready` and stays."""
    assert child.stdout is not None
    if child.stdout.readline() == "ready\n":
        return False
    return child.wait(60) == supervision.EXIT_ALREADY_RUNNING


def test_a_killed_daemon_is_stale_and_the_next_start_is_clean(spawn: Spawn, home: Paths) -> None:
    first = spawn()
    wait_until_ready(first)
    killed = endpoint_of(home)
    first.kill()
    first.wait()
    found = client.probe(home)
    assert (found.presence, found.endpoint) == (Presence.STALE, killed)
    assert instance.find_process(killed) is None
    assert stop_daemon(home).outcome is StopOutcome.NOT_RUNNING
    wait_until_ready(spawn())
    assert client.probe(home).presence is Presence.RUNNING
    assert endpoint_of(home).instance != killed.instance


def test_looking_for_a_daemon_does_not_stop_another_from_starting(spawn: Spawn, home: Paths) -> None:
    wait_until_ready(first := spawn())
    first.kill()
    first.wait()
    child = spawn()
    while client.probe(home).presence is not Presence.RUNNING:
        assert child.poll() is None
    assert endpoint_of(home).pid == child.pid


def test_stop_asks_and_the_daemon_leaves_nothing(spawn: Spawn, home: Paths) -> None:
    child = spawn()
    wait_until_ready(child)
    assert stop_daemon(home).outcome is StopOutcome.STOPPED
    assert child.wait(60) == 0
    assert client.probe(home).presence is Presence.ABSENT


def test_a_daemon_that_does_not_keep_its_word_is_killed(spawn: Spawn, home: Paths) -> None:
    child = spawn("--stubborn")
    wait_until_ready(child)
    stop = stop_daemon(home, timeout_s=0.2)
    assert (stop.outcome, child.wait(60)) == (StopOutcome.KILLED, -9 if sys.platform != "win32" else 15)


def test_a_daemon_that_says_that_it_needs_longer_gets_it(
    spawn: Spawn, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_STOP_WAIT_S", 0.1)
    child = spawn("--slow")
    wait_until_ready(child)
    assert stop_daemon(home).outcome is StopOutcome.STOPPED
    assert child.wait(60) == 0


def test_a_daemon_that_hangs_is_starting_and_is_killed(
    spawn: Spawn, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_TERMINATE_WAIT_S", 0.2)
    monkeypatch.setattr(client, "probe", lambda paths: instance.probe(paths, lambda _: False))
    child = spawn("--deaf")
    wait_until_ready(child)
    assert client.probe(home).presence is Presence.STARTING
    assert stop_daemon(home).outcome is StopOutcome.KILLED
    child.wait(60)


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("is_found", [True, False])
def test_a_daemon_that_goes_while_it_is_to_be_stopped_has_stopped(
    spawn: Spawn, home: Paths, monkeypatch: pytest.MonkeyPatch, answers: bool, is_found: bool
) -> None:
    child = spawn()
    wait_until_ready(child)
    find_process = instance.find_process

    def find_and_kill(endpoint: Endpoint) -> psutil.Process | None:
        process = find_process(endpoint)
        child.kill()
        child.wait()
        return process if is_found else None

    monkeypatch.setattr(supervision, "_TERMINATE_WAIT_S", 0.2)
    monkeypatch.setattr(instance, "find_process", find_and_kill)
    if not answers:
        monkeypatch.setattr(client, "probe", lambda paths: instance.probe(paths, lambda _: False))
    assert stop_daemon(home).outcome is (StopOutcome.STOPPED if is_found else StopOutcome.NOT_RUNNING)


def test_a_process_that_only_has_the_number_of_the_daemon_is_left_alone(
    spawn: Spawn, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_TERMINATE_WAIT_S", 0.1)
    bystander = spawn("--stubborn")
    wait_until_ready(bystander)
    real = endpoint_of(home)
    foreign = Endpoint(
        pid=real.pid,
        create_time=real.create_time - 1000,
        host=real.host,
        port=1,
        token=real.token,
        instance=real.instance,
        version=real.version,
    )
    instance.write_endpoint(home, foreign)
    assert stop_daemon(home).outcome is StopOutcome.FAILED
    assert bystander.poll() is None


@pytest.fixture
def fake_serve(home: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """`puna serve` is the fake daemon, or what the list is changed to; it is stopped at the end."""
    command = [sys.executable, str(FAKE)]
    children: list[subprocess.Popen[bytes]] = []
    spawn_daemon = launch.spawn_daemon

    def spawn(paths: Paths, arguments: list[str]) -> subprocess.Popen[bytes]:
        children.append(spawn_daemon(paths, arguments))
        return children[-1]

    monkeypatch.setattr(launch, "child_command", lambda *_: command)
    monkeypatch.setattr(launch, "spawn_daemon", spawn)
    yield command
    stop_daemon(home)
    for child in children:
        child.wait(60)


def test_start_returns_when_the_daemon_answers_and_a_second_start_finds_it(
    fake_serve: list[str], home: Paths
) -> None:
    first = start_daemon(home, [])
    assert first.outcome is StartOutcome.STARTED
    assert first.endpoint == endpoint_of(home)
    second = start_daemon(home, [])
    assert (second.outcome, second.endpoint) == (StartOutcome.ALREADY_RUNNING, first.endpoint)


def test_a_daemon_that_answers_only_once_for_now_has_started(
    fake_serve: list[str], home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = supervision._answering
    told: list[Endpoint] = []

    def answer_once(paths: Paths) -> Endpoint | None:
        endpoint = None if told else answering(paths)
        told.extend([endpoint] if endpoint else [])
        return endpoint

    monkeypatch.setattr(supervision, "_answering", answer_once)
    start = start_daemon(home, [])
    assert (start.outcome, [start.endpoint]) == (StartOutcome.STARTED, told)


def test_a_daemon_that_ends_at_once_is_reported_with_its_last_words(
    fake_serve: list[str], home: Paths
) -> None:
    fake_serve[1:] = ["-c", "import sys; print('first\\x1b[2J'); sys.exit('puna: it is broken')"]
    start = start_daemon(home, [])
    assert (start.outcome, start.exit_code) == (StartOutcome.FAILED, 1)
    assert sorted(start.output) == ["first\\x1b[2J", "puna: it is broken"]


def test_a_daemon_that_never_answers_is_ended_again(fake_serve: list[str], home: Paths) -> None:
    fake_serve[1:] = ["-c", "import time; time.sleep(60)"]
    start = start_daemon(home, [], timeout_s=0.3)
    assert (start.outcome, start.exit_code) == (StartOutcome.FAILED, None)


def test_a_start_that_loses_the_race_finds_the_winner(
    fake_serve: list[str], spawn: Spawn, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until_ready(spawn())
    probes = iter([instance.Probe(Presence.ABSENT)])
    probe = client.probe
    monkeypatch.setattr(client, "probe", lambda paths: next(probes, None) or probe(paths))
    monkeypatch.setattr(supervision, "_answering", lambda _: None)
    assert start_daemon(home, []).outcome is StartOutcome.ALREADY_RUNNING
