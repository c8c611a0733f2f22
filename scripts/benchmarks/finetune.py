"""From a CSV with three labels to a model that knows them: accuracy on sentences that it has not seen, and the time."""

import time
from pathlib import Path
from typing import Any

from benchmarks.daemon import Daemon, run_daemon
from make_labelled_sentences import draw_rows

_TRAINING_ROWS, _TEST_ROWS, _BATCH = 600, 150, 50


def measure_finetune(model: Path) -> None:
    """Train on one set of sentences and classify another; chance is one in three."""
    with run_daemon("--model", str(model), "--no-load-on-start") as daemon:
        rows = draw_rows(1, _TRAINING_ROWS, is_test=False)
        csv = "text,label\n" + "".join(f'"{row.text}",{row.label}\n' for row in rows)
        dataset = daemon.post("/puna/v1/datasets", {"name": "sentences.csv", "content": csv})["id"]
        started_s = time.perf_counter()
        order: Any = daemon.post("/puna/v1/finetunes", {"model": "demo", "dataset": dataset})
        job = _wait(daemon, order["id"])
        training_s = time.perf_counter() - started_s
        share = _accuracy(daemon, job["adapter_id"])
    before = job["before"]["right"] / job["before"]["choices"]
    print(
        f"fine-tuning on {_TRAINING_ROWS} sentences: {training_s:.1f} s; accuracy {before:.0%} before (held out), "
        f"{share:.1%} after ({_TEST_ROWS} unseen sentences)"
    )


def _wait(daemon: Daemon, job_id: str) -> Any:
    while True:
        job = daemon.get(f"/puna/v1/finetunes/{job_id}")
        if job["ended_at"]:
            return job
        time.sleep(0.1)


def _accuracy(daemon: Daemon, adapter: str) -> float:
    rows = draw_rows(2, _TEST_ROWS, is_test=True)
    right = 0
    for begin in range(0, len(rows), _BATCH):
        part = rows[begin : begin + _BATCH]
        body = {"model": adapter, "texts": [row.text for row in part]}
        results: Any = daemon.post("/puna/v1/classify", body)["results"]
        right += sum(result["label"] == row.label for result, row in zip(results, part, strict=True))
    return right / len(rows)
