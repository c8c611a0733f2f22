"""First token and throughput, with one client and with eight."""

import json
import statistics
import subprocess
import threading
import time
from pathlib import Path

from benchmarks.daemon import Daemon, run_daemon
from environment import venv_python

_PROMPTS = [f"Once upon a time there was a llama number {i}" for i in range(8)]
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
