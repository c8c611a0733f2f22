"""Keys and limits of a real daemon: shown once, worth something at once, and remembered."""

import ipaddress
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from process.conftest import RunningDaemon, StartDaemon, environment
from puna.paths import Paths

CLOSED = ("--no-load-on-start", "--open-dialect=none")


def run(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command line as a process of its own."""
    command = [sys.executable, "-P", "-m", "puna", *arguments]
    return subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )


def status_of(url: str, secret: str | None = None, body: bytes | None = None) -> int:
    """Return the status of a request with this key."""
    headers = {"Content-Type": "application/json"} | ({"X-Api-Key": secret} if secret else {})
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - always http
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - always http
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def printed_key(daemon: RunningDaemon) -> str | None:
    """Stop the daemon and return the key that it printed."""
    assert daemon.stop() == 0
    assert daemon.output is not None
    keys = [word for word in daemon.output.read_text().split() if word.startswith("puna_")]
    assert len(keys) <= 1
    return keys[0] if keys else None


def everything_written(paths: Paths) -> bytes:
    return b"".join(
        file.read_bytes()
        for folder in (paths.state_dir, paths.log_dir)
        for file in folder.rglob("*")
        if file.is_file()
    )


def test_the_first_start_prints_a_key_that_works_until_it_is_revoked(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    secret = printed_key(start_daemon(*CLOSED))
    assert secret is not None

    second = start_daemon(*CLOSED)
    health = f"{second.url}/health"
    assert [status_of(health, key) for key in (None, "puna_wrong", secret)] == [401, 401, 200]
    assert second.status.organisation.startswith("org_")
    [key] = json.loads(run(tmp_path, "keys", "list", "--json").stdout)["keys"]
    assert (key["name"], key["organisation_id"]) == ("first", second.status.organisation)
    made = run(tmp_path, "keys", "create", "--name", "other").stdout.strip()
    assert run(tmp_path, "keys", "revoke", key["id"]).returncode == 0
    assert [status_of(health, key) for key in (secret, made)] == [401, 200]

    assert printed_key(second) is None
    assert secret.encode() not in everything_written(second.paths)
    [kept] = json.loads(run(tmp_path, "keys", "list", "--json").stdout)["keys"]
    assert kept["name"] == "other"
    assert kept["last_used_at"] >= kept["created_at"]


def test_a_first_start_in_the_background_prints_the_key_where_it_was_typed(tmp_path: Path) -> None:
    try:
        started = run(tmp_path, "start", "--port", "0", *CLOSED)
        assert started.returncode == 0, started.stderr
        [secret] = [word for word in started.stdout.split() if word.startswith("puna_")]
        [url] = [
            word for word in started.stdout.split() if word.startswith("http://") and "generate" not in word
        ]
        assert status_of(f"{url}/health", secret) == 200
        assert secret.encode() not in everything_written(Paths.under(tmp_path))
    finally:
        assert run(tmp_path, "stop").returncode == 0
    try:
        again = run(tmp_path, "start", "--port", "0", *CLOSED)
        assert "puna_" not in again.stdout
    finally:
        assert run(tmp_path, "stop").returncode == 0


def test_the_count_of_a_day_survives_a_restart(start_daemon: StartDaemon) -> None:
    flags = ("--no-load-on-start", "--rate-limits", "off locallab=3/day")

    def ask(daemon: RunningDaemon) -> int:
        return status_of(f"{daemon.url}/generate", body=b"{}")

    first = start_daemon(*flags)
    assert [ask(first) for _ in range(2)] == [400, 400]
    first.stop()
    second = start_daemon(*flags)
    assert [ask(second) for _ in range(2)] == [400, 429]


def own_address() -> str | None:
    """Return an address of this machine that is not loopback: who calls it comes from there too."""
    addresses = [
        each.address
        for all_ in psutil.net_if_addrs().values()
        for each in all_
        if each.family == socket.AF_INET
    ]
    return next((one for one in addresses if not ipaddress.ip_address(one).is_loopback), None)


def test_beyond_loopback_it_starts_with_a_key_only_and_asks_for_it_everywhere(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    refused = run(tmp_path, "serve", "--port", "0", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "`puna keys create --name NAME` makes one" in refused.stderr
    assert "puna_" not in refused.stdout

    secret = run(tmp_path, "keys", "create", "--name", "phone").stdout.strip()
    daemon = start_daemon("--no-load-on-start", "--host", "0.0.0.0")
    assert status_of(f"{daemon.url}/health") == 200
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address beyond loopback")
    health = f"http://{address}:{daemon.endpoint.port}/health"
    assert [status_of(health, key) for key in (None, "wrong", secret)] == [401, 401, 200]
    assert status_of(health, daemon.endpoint.token) == 200, "the command line of this machine gets through"
