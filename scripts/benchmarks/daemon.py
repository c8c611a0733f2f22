"""A daemon to measure, in a home of its own."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from environment import venv_python

_START_TIMEOUT_S = 60.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SAMPLING: dict[str, object] = {"temperature": 1.5, "top_k": 1000, "top_p": 1.0, "repetition_penalty": 1.0}
"""So hot that a text rarely ends before its limit."""


class Daemon:
    """A `puna serve` in a home of its own."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, started_s: float) -> None:
        self.process = process
        self._endpoint_file = home / "state" / "run" / "daemon.json"
        self._wait(self._is_healthy)
        self.start_s = time.perf_counter() - started_s

    def get(self, path: str) -> dict[str, object]:
        """Return the JSON of a route, asked with the admin token."""
        with _OPENER.open(self._request(path), timeout=30) as response:
            answer: dict[str, object] = json.load(response)
            return answer

    def post(self, path: str, body: object) -> dict[str, object]:
        """Return the JSON that a route answers with."""
        with _OPENER.open(self._request(path, json.dumps(body).encode()), timeout=600) as response:
            answer: dict[str, object] = json.load(response)
            return answer

    def stream(self, prompt: str, tokens: int) -> float:
        """Read a whole stream; return the seconds to its first event."""
        body = json.dumps({"prompt": prompt, "max_length": tokens, "stream": True, "raw": True, **SAMPLING})
        request = self._request("/generate", body.encode())
        started_s = time.perf_counter()
        with _OPENER.open(request, timeout=600) as response:
            response.readline()
            first_s = time.perf_counter() - started_s
            response.read()
        return first_s

    def completion_tokens(self) -> int:
        """Return the tokens generated since the model was loaded, once the worker is idle."""
        while True:
            models = self.get("/puna/v1/status")["models"]
            assert isinstance(models, list)
            if models and models[0]["state"] == "ready" and not models[0]["busy_slots"]:
                time.sleep(0.05)
                return int(models[0]["completion_tokens"])
            time.sleep(0.01)

    def resident_mib(self) -> float:
        """Return the daemon's memory, without its workers, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def _is_healthy(self) -> bool:
        try:
            return self.get("/health")["status"] == "healthy"
        except (OSError, ValueError):
            return False

    def _request(self, path: str, body: bytes | None = None) -> urllib.request.Request:
        endpoint = json.loads(self._endpoint_file.read_bytes())
        headers = {"Authorization": f"Bearer {endpoint['token']}", "Content-Type": "application/json"}
        return urllib.request.Request(f"http://127.0.0.1:{endpoint['port']}{path}", body, headers)

    def _wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.perf_counter() + _START_TIMEOUT_S
        while not is_so():
            if self.process.poll() is not None or time.perf_counter() > deadline:
                raise SystemExit("The daemon did not start.")
            time.sleep(0.005)


@contextmanager
def run_daemon(*flags: str) -> Iterator[Daemon]:
    """Start a daemon and stop it again. It may keep its bytecode, as every installed Puna does."""
    home = Path(tempfile.mkdtemp(prefix="puna-bench-"))
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started_s = time.perf_counter()
    process = subprocess.Popen(
        [str(venv_python()), "-P", "-m", "puna", "serve", "--port", "0", *flags],
        env=environ | {"PUNA_HOME": str(home), "PUNA_RATE_LIMITS": "off"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Daemon(process, home, started_s)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(home, ignore_errors=True)
