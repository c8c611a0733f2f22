"""Measures Puna on this machine: start-up and memory, first token, tokens per second for one client and for eight.

    python3 scripts/bench.py [start] [generate] [--model FILE] [--runs N] [--tokens N]

Figures are medians. Compare ratios measured in one run, not times from different machines: `generate` runs the same
requests through llama-cpp-python's own `Llama` class, which serves one after the other, as the peer.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from environment import ROOT, venv_python

_START_TIMEOUT_S = 60.0
_PROMPTS = [f"Once upon a time there was a llama number {i}" for i in range(8)]
_SAMPLING: dict[str, object] = {"temperature": 1.5, "top_k": 1000, "top_p": 1.0, "repetition_penalty": 1.0}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

_PEER = """
import json, sys, time
from llama_cpp import Llama
path, tokens, prompts = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
llama = Llama(path, n_ctx=2048, verbose=False)
llama.create_completion(prompts[0], max_tokens=8)
started = time.perf_counter()
made = 0
for prompt in prompts:
    result = llama.create_completion(
        prompt, max_tokens=tokens, temperature=1.5, top_k=1000, top_p=1.0, min_p=0.0, repeat_penalty=1.0)
    made += result["usage"]["completion_tokens"]
print(made / (time.perf_counter() - started))
"""


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

    def stream(self, prompt: str, tokens: int) -> float:
        """Read a whole stream; return the seconds to its first event."""
        body = json.dumps({"prompt": prompt, "max_length": tokens, "stream": True, "raw": True, **_SAMPLING})
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
    """Start a daemon and stop it again."""
    home = Path(tempfile.mkdtemp(prefix="puna-bench-"))
    started_s = time.perf_counter()
    process = subprocess.Popen(
        [str(venv_python()), "-P", "-m", "puna", "serve", "--port", "0", *flags],
        env={**os.environ, "PUNA_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Daemon(process, home, started_s)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def measure_start(runs: int) -> None:
    """Print the time to the first healthy answer and the memory at rest, without a model."""
    times_s, memory_mib = [], []
    for _ in range(runs):
        with run_daemon("--no-load-on-start") as daemon:
            times_s.append(daemon.start_s)
            time.sleep(0.5)
            if sys.platform == "linux":
                memory_mib.append(daemon.resident_mib())
    print(f"start to /health 200      {statistics.median(times_s):.2f} s")
    if memory_mib:
        print(f"memory without a model    {statistics.median(memory_mib):.0f} MiB")


def measure_generate(model: Path, runs: int, tokens: int) -> None:
    """Print first token and throughput of one and of eight streams, and the peer on the same eight requests."""
    with run_daemon("--model", str(model)) as daemon:
        daemon.completion_tokens()
        daemon.stream(_PROMPTS[0], 8)
        first_s = [daemon.stream(f"{i} {_PROMPTS[0]}", 1) for i in range(runs * 4)]
        one = statistics.median(_throughput(daemon, [_PROMPTS[0]], tokens) for _ in range(runs))
        eight = statistics.median(_throughput(daemon, _PROMPTS, tokens) for _ in range(runs))
    peer = statistics.median(_peer_throughput(model, tokens) for _ in range(runs))
    print(f"first token               {statistics.median(first_s) * 1000:.1f} ms")
    print(f"one stream                {one:.0f} tokens/s")
    print(f"eight streams             {eight:.0f} tokens/s, {eight / one:.2f} times one stream")
    print(f"peer, one after another   {peer:.0f} tokens/s; eight streams are {eight / peer:.2f} times that")


def _throughput(daemon: Daemon, prompts: list[str], tokens: int) -> float:
    before = daemon.completion_tokens()
    threads = [threading.Thread(target=daemon.stream, args=(prompt, tokens)) for prompt in prompts]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started_s
    return (daemon.completion_tokens() - before) / seconds


def _peer_throughput(model: Path, tokens: int) -> float:
    arguments = [str(model), str(tokens), json.dumps(_PROMPTS)]
    done = subprocess.run(
        [str(venv_python()), "-c", _PEER, *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Run the measurements that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", choices=["start", "generate", []], help="what to measure (all)")
    parser.add_argument("--model", type=Path, default=ROOT / "daemon/puna/assets/demo.gguf")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200, help="tokens of each text")
    given = parser.parse_args()
    if "start" in given.what or not given.what:
        measure_start(given.runs)
    if "generate" in given.what or not given.what:
        measure_generate(given.model, given.runs, given.tokens)


if __name__ == "__main__":
    main()
