"""A real daemon with real workers: what breaks, and what is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from fakes.endless_model import make_endless_model
from process.conftest import RunningDaemon, StartDaemon, environment, wait_until
from puna.instance import read_endpoint
from puna.paths import Paths

STORY = {"prompt": "Once upon a time", "stream": True, "max_length": 1900, "temperature": 2.0, "top_k": 1000}


@pytest.fixture
def daemon(start_daemon: StartDaemon, tmp_path: Path) -> RunningDaemon:
    """A daemon whose texts have no end: they are still going on when a test comes to them."""
    daemon = start_daemon("--model", str(make_endless_model(tmp_path)))
    daemon.wait_for_model()
    return daemon


async def read_stream(session: aiohttp.ClientSession, url: str, begun: asyncio.Barrier | None = None) -> str:
    async with session.post(f"{url}/generate", json=STORY) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        text = (await response.content.readany()).decode()
        if begun is not None:
            await begun.wait()
        return text + (await response.content.read()).decode()


async def ask(session: aiohttp.ClientSession, url: str) -> str:
    async with session.post(f"{url}/generate", json={"prompt": "Hello", "max_length": 5}) as response:
        body = await response.json()
        assert response.status == 200, body
        return str(body["response"])


async def test_a_killed_worker_ends_eight_streams_with_the_error_event_and_is_replaced(
    daemon: RunningDaemon,
) -> None:
    begun = asyncio.Barrier(9)
    (worker,) = daemon.workers
    async with aiohttp.ClientSession() as session:
        streams = [asyncio.create_task(read_stream(session, daemon.url, begun)) for _ in range(8)]
        await begun.wait()
        worker.kill()
        for text in await asyncio.gather(*streams):
            *_, error, done, end = text.split("\n\n")
            assert error.startswith("Error: The worker of endless died")
            assert "\ndata: [ERROR] The worker of endless died" in error
            assert (done, end) == ("data: [DONE]", "")
        await ask(session, daemon.url)
    (replacement,) = daemon.workers
    assert replacement.pid != worker.pid
    assert daemon.process.poll() is None


async def test_a_client_that_leaves_in_mid_stream_frees_its_slot(daemon: RunningDaemon) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{daemon.url}/generate", json=STORY) as response:
            await response.content.readany()
            await asyncio.to_thread(wait_until, lambda: daemon.status.models[0].busy_slots == 1)
            response.close()
        await asyncio.to_thread(wait_until, lambda: daemon.status.models[0].busy_slots == 0)
        tokens = daemon.status.models[0].completion_tokens
    assert tokens is not None
    assert tokens < 1900


async def test_a_client_that_leaves_while_it_waits_for_a_whole_text_frees_its_slot(
    daemon: RunningDaemon,
) -> None:
    async with aiohttp.ClientSession() as session:
        whole = asyncio.create_task(session.post(f"{daemon.url}/generate", json={**STORY, "stream": False}))
        await asyncio.to_thread(wait_until, lambda: daemon.status.models[0].busy_slots == 1)
        whole.cancel()
        await asyncio.to_thread(wait_until, lambda: daemon.status.models[0].busy_slots == 0)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_daemon_takes_its_worker_along_and_the_next_start_is_clean(
    daemon: RunningDaemon, start_daemon: Callable[..., RunningDaemon]
) -> None:
    (worker,) = daemon.workers
    os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait(60)
    gone, alive = psutil.wait_procs([worker], timeout=60)
    assert not alive
    assert gone
    assert read_endpoint(daemon.paths.endpoint_file) is not None
    second = start_daemon()
    assert second.endpoint.pid == second.process.pid
    second.wait_for_model()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_a_second_signal_gives_open_streams_an_error_event_at_once_and_leaves_nothing(
    daemon: RunningDaemon,
) -> None:
    (worker,) = daemon.workers
    begun = asyncio.Barrier(9)
    async with aiohttp.ClientSession() as session:
        streams = [asyncio.create_task(read_stream(session, daemon.url, begun)) for _ in range(8)]
        await begun.wait()
        daemon.process.send_signal(signal.SIGTERM)
        # Two signals of one kind at once would be one.
        await asyncio.to_thread(wait_until, lambda: "stopping;" in daemon.paths.daemon_log.read_text())
        daemon.process.send_signal(signal.SIGTERM)
        texts = await asyncio.gather(*streams)
    assert any("\ndata: [ERROR] " in text for text in texts)
    assert all(text.endswith("data: [DONE]\n\n") for text in texts)
    assert await asyncio.to_thread(daemon.process.wait, 60) == 0
    assert not worker.is_running()
    assert not daemon.paths.endpoint_file.exists()


def test_a_worker_gets_no_key_of_a_remote_model(
    start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_ENGINE", "a secret, though its name does not say so")
    far = "far=http://127.0.0.1:9/v1 key_variable=FAR_ENGINE model=x"
    daemon = start_daemon("--remote-model", far)
    wait_until(lambda: any(model.state == "ready" for model in daemon.status.models), 60)
    (worker,) = daemon.workers
    assert "PUNA_HOME" in worker.environ()
    assert "FAR_ENGINE" not in worker.environ()


async def test_stop_lets_short_work_finish(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon("--model", str(make_endless_model(tmp_path)), "--drain-timeout-s", "60")
    daemon.wait_for_model()
    async with aiohttp.ClientSession() as session:
        body = {"prompt": "Once upon a time", "max_length": 800, "do_sample": False}
        request = asyncio.create_task(session.post(f"{daemon.url}/generate", json=body))
        await asyncio.to_thread(
            wait_until, lambda: request.done() or daemon.status.models[0].busy_slots == 1
        )  # who is slow to look meets it no more
        code = await asyncio.to_thread(daemon.stop)
        async with await request as response:
            assert response.status == 200
            assert (await response.json())["response"]
    assert code == 0


async def test_a_broken_model_file_leaves_the_daemon_and_the_earlier_model_alone(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    demo = daemon.paths.demo_model.read_bytes()
    absurd = demo[:8] + (2**60).to_bytes(8, "little") + demo[16:]
    files = {
        "text.gguf": b"<html>not a model</html>" * 100,
        "empty.gguf": b"",
        "truncated.gguf": demo[: len(demo) // 2],
        "absurd.gguf": absurd,
    }
    (worker,) = daemon.workers
    async with aiohttp.ClientSession() as session:
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content)
            async with session.post(f"{daemon.url}/models/load", json={"model_id": str(path)}) as response:
                body = await response.json()
                assert response.status >= 400, body
                assert name in body["detail"]
                assert str(tmp_path) not in body["detail"]
        await ask(session, daemon.url)
    assert daemon.workers == [worker]


async def test_a_body_of_100_mb_is_refused_without_reading_it(daemon: RunningDaemon) -> None:
    async def body() -> object:
        for _ in range(1600):
            yield b"x" * 65_536

    async with aiohttp.ClientSession() as session:
        huge = {"Content-Length": str(100 * 1024 * 1024)}
        try:
            async with session.post(f"{daemon.url}/generate", data=body(), headers=huge) as response:
                assert response.status == 413
                assert "detail" in json.loads(await response.read())
        except aiohttp.ClientOSError:
            pytest.fail("the answer did not reach the client")
        await ask(session, daemon.url)


def test_of_ten_daemons_started_at_once_one_runs_and_nine_say_so(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "puna", "serve", "--port", "0", "--no-load-on-start"]
    daemons = [
        subprocess.Popen(
            command,
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(10)
    ]
    try:
        wait_until(lambda: sum(one.poll() is None for one in daemons) == 1, 60)
        runs = next(one for one in daemons if one.poll() is None)
        others = [one for one in daemons if one is not runs]
        assert [one.returncode for one in others] == [75] * 9
        log = Paths.under(tmp_path).daemon_log
        wait_until(
            lambda: log.is_file() and "listens on" in log.read_text()
        )  # from then on signals are caught
        for one in others:
            assert one.stderr is not None
            said = one.stderr.read()
            assert "Puna already runs" in said or "is just starting" in said
        runs.terminate()
        assert runs.wait(60) == 0
    finally:
        for one in daemons:
            if one.poll() is None:
                one.kill()
            one.wait()
            assert one.stderr is not None
            one.stderr.close()


def test_a_taken_port_is_said_with_who_holds_it(daemon: RunningDaemon, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "puna", "serve", "--port", str(daemon.endpoint.port)],
        env=environment(tmp_path / "other"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert f"Port {daemon.endpoint.port} on 127.0.0.1 is taken by" in done.stderr
    assert str(daemon.process.pid) in done.stderr
    assert "--port" in done.stderr
