"""Fine-tunings of real daemons: from a CSV to an adapter that answers, and what happens when somebody is killed."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import psutil
import pytest
import requests
from standardwebhooks import Webhook

from make_labelled_sentences import draw_rows
from process.conftest import RunningDaemon, StartDaemon, wait_until

SETTINGS = {"rank": 8, "threads": 1}
# Trainings wait for the processor where others use it, and only for that.
pytestmark = pytest.mark.timeout(600)


class Finetunes:
    """A client of one daemon's control API."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self.daemon = daemon
        self.headers = {"Authorization": f"Bearer {daemon.endpoint.token}"}

    def ask(self, method: str, path: str, **how: Any) -> Any:
        answer = requests.request(method, f"{self.daemon.url}{path}", headers=self.headers, timeout=60, **how)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def add(self, csv: str) -> str:
        """Upload a dataset; return its id."""
        files = {"file": ("sentences.csv", csv.encode())}
        return str(self.ask("POST", "/puna/v1/datasets", files=files)["id"])

    def order(self, dataset: str, **settings: Any) -> str:
        body = {"model": "demo", "dataset": dataset, **SETTINGS, **settings}
        return str(self.ask("POST", "/puna/v1/finetunes", json=body)["id"])

    def look(self, job: str) -> Any:
        return self.ask("GET", f"/puna/v1/finetunes/{job}")

    def follow(self, job: str) -> Iterator[Any]:
        """Yield the job whenever it has news, until it has ended."""
        url = f"{self.daemon.url}/puna/v1/finetunes/{job}?follow=1"
        with requests.get(url, headers=self.headers, stream=True, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def wait_for_end(self, job: str) -> Any:
        return list(self.follow(job))[-1]

    def wait_for_checkpoint(self, job: str) -> Any:
        return next(each for each in self.follow(job) if each["has_checkpoint"] or each["ended_at"])

    def classify(self, model: str, text: str) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0}
        answer = self.ask("POST", "/v1/chat/completions", json={**body, "max_tokens": 8})
        return str(answer["choices"][0]["message"]["content"])

    @property
    def trainers(self) -> list[psutil.Process]:
        return [each for each in self.daemon.workers if "trainer" in each.cmdline()]


def sentences(count: int) -> str:
    """Return a CSV of reviews, labelled with colours."""
    rows = draw_rows(1, count, is_test=False)
    return "text,label\n" + "".join(f'"{row.text}",{row.label}\n' for row in rows)


@pytest.fixture
def finetunes(start_daemon: StartDaemon) -> Finetunes:
    return Finetunes(start_daemon("--no-load-on-start"))


def test_a_labelled_csv_becomes_a_model_that_knows_the_labels(finetunes: Finetunes) -> None:
    dataset = finetunes.add(sentences(300))
    plan = finetunes.ask(
        "POST", "/puna/v1/finetunes", json={"model": "demo", "dataset": dataset, "dry_run": True}
    )["plan"]
    assert plan["estimate"]["seconds"] > 0
    assert plan["estimate"]["memory_bytes"] > 10_000_000
    assert finetunes.ask("GET", "/puna/v1/finetunes")["finetunes"] == [], "nothing was ordered"

    job = finetunes.wait_for_end(finetunes.order(dataset, epochs=3, name="colours"))

    assert (job["state"], job["error"]) == ("done", None)
    before, after = job["before"], job["after"]
    assert before["choices"] == after["choices"] == 30
    assert before["right"] < 20 < 27 <= after["right"]
    assert after["loss"] < before["loss"] / 5

    adapter = finetunes.ask("GET", f"/puna/v1/adapters/{job['adapter_id']}")
    assert (adapter["name"], adapter["base_id"], adapter["dataset_id"]) == ("colours", "demo", dataset)
    assert sorted(adapter["labels"]) == ["blue", "green", "red"]
    assert adapter["after"] == after
    test = draw_rows(2, 30, is_test=True)
    right = sum(finetunes.classify(job["adapter_id"], row.text) == row.label for row in test)
    assert right >= 26, "what was measured is what is served"

    url = f"{finetunes.daemon.url}/puna/v1/adapters/{job['adapter_id']}/file"
    content = requests.get(url, headers=finetunes.headers, timeout=60).content
    assert content[:4] == b"GGUF"
    assert len(content) == adapter["size_bytes"]
    assert not list(finetunes.daemon.paths.finetune_dir.iterdir()), "no checkpoint is left"
    finetunes.ask("DELETE", f"/puna/v1/adapters/{job['adapter_id']}")
    assert finetunes.ask("GET", "/puna/v1/adapters")["adapters"] == []


def test_accuracy_on_unseen_sentences_goes_from_chance_to_95_percent(finetunes: Finetunes) -> None:
    job = finetunes.wait_for_end(finetunes.order(finetunes.add(sentences(600)), epochs=3))
    assert job["before"]["right"] / job["before"]["choices"] < 0.55
    rows = draw_rows(2, 100, is_test=True)
    body = {"model": job["adapter_id"], "texts": [row.text for row in rows]}
    results = finetunes.ask("POST", "/puna/v1/classify", json=body)["results"]
    right = sum(result["label"] == row.label for result, row in zip(results, rows, strict=True))
    assert right / len(rows) >= 0.95
    assert all(0 <= result["probability"] <= 1 for result in results)


def test_a_killed_trainer_goes_on_from_its_checkpoint(finetunes: Finetunes) -> None:
    job = finetunes.order(finetunes.add(sentences(90)), epochs=10, checkpoint_every_s=0.3)
    finetunes.wait_for_checkpoint(job)
    (trainer,) = finetunes.trainers
    trainer.kill()
    seen = list(finetunes.follow(job))
    assert (seen[-1]["state"], seen[-1]["error"]) == ("done", None)
    assert seen[-1]["plan"]["first_step"] > 0, "it began anew"


def test_a_killed_daemon_goes_on_after_the_next_start(
    finetunes: Finetunes, start_daemon: StartDaemon
) -> None:
    job = finetunes.order(finetunes.add(sentences(90)), epochs=10, checkpoint_every_s=0.3)
    finetunes.wait_for_checkpoint(job)
    trainers = finetunes.trainers
    finetunes.daemon.process.kill()
    finetunes.daemon.process.wait(60)
    wait_until(lambda: not any(trainer.is_running() for trainer in trainers))

    ended = Finetunes(start_daemon("--no-load-on-start")).wait_for_end(job)
    assert (ended["state"], ended["error"]) == ("done", None)
    assert ended["plan"]["first_step"] > 0, "it began anew"


def test_a_stopped_daemon_keeps_what_was_learnt_and_nobody_who_listens_holds_it_up(
    start_daemon: StartDaemon,
) -> None:
    finetunes = Finetunes(start_daemon("--no-load-on-start", "--drain-timeout-s", "600"))
    job = finetunes.order(finetunes.add(sentences(60)), epochs=12)
    news = finetunes.follow(job)
    next(each for each in news if each["progress"])
    assert finetunes.daemon.stop() == 0
    assert not any(each["ended_at"] for each in news), "it goes on later"
    assert (finetunes.daemon.paths.finetune_dir / f"{job}.checkpoint").is_file()

    ended = Finetunes(start_daemon("--no-load-on-start")).wait_for_end(job)
    assert ended["state"] == "done"
    assert ended["plan"]["first_step"] > 0


def test_a_cancelled_one_keeps_its_checkpoint_if_asked_and_goes_on_from_it(finetunes: Finetunes) -> None:
    job = finetunes.order(finetunes.add(sentences(60)), epochs=12)
    next(each for each in finetunes.follow(job) if each["progress"])
    cancelled = finetunes.ask("POST", f"/puna/v1/finetunes/{job}/cancel", json={"keeps_checkpoint": True})
    assert (cancelled["state"], cancelled["has_checkpoint"]) == ("cancelled", True)
    assert not finetunes.trainers

    assert finetunes.ask("POST", f"/puna/v1/finetunes/{job}/resume")["state"] == "queued"
    ended = finetunes.wait_for_end(job)
    assert ended["state"] == "done"
    assert ended["plan"]["first_step"] > 0


def test_a_cancelled_one_leaves_nothing_if_not_asked(finetunes: Finetunes) -> None:
    job = finetunes.order(finetunes.add(sentences(60)), epochs=50, checkpoint_every_s=0.2)
    finetunes.wait_for_checkpoint(job)
    cancelled = finetunes.ask("POST", f"/puna/v1/finetunes/{job}/cancel")
    assert (cancelled["state"], cancelled["has_checkpoint"]) == ("cancelled", False)
    assert not list(finetunes.daemon.paths.finetune_dir.iterdir())


def test_a_truncated_dataset_is_a_failed_job_and_no_dead_daemon(finetunes: Finetunes) -> None:
    dataset = finetunes.add(sentences(60))
    (content,) = finetunes.daemon.paths.dataset_dir.glob("*.data")
    content.write_bytes(content.read_bytes()[:100])
    job = finetunes.wait_for_end(finetunes.order(dataset))
    assert job["state"] == "failed"
    assert f"The stored dataset {dataset} is damaged or gone" in job["error"]
    assert finetunes.daemon.status.instance


def test_a_disk_that_takes_no_adapter_fails_the_job_and_keeps_the_checkpoint(finetunes: Finetunes) -> None:
    job = finetunes.order(finetunes.add(sentences(60)), epochs=12, checkpoint_every_s=0.2)
    look = finetunes.wait_for_checkpoint(job)
    place = finetunes.daemon.paths.adapter_dir / look["adapter_id"]
    place.rmdir()
    place.write_text("in the way")
    failed = finetunes.wait_for_end(job)
    assert (failed["state"], failed["has_checkpoint"]) == ("failed", True)
    assert "cannot be written" in failed["error"]

    place.unlink()
    finetunes.ask("POST", f"/puna/v1/finetunes/{job}/resume")
    assert finetunes.wait_for_end(job)["state"] == "done"


class Receiver(BaseHTTPRequestHandler):
    """Takes a webhook's messages."""

    received: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """Return the address of a receiver on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()
        serving.join()


def test_a_webhook_is_told_of_the_end(finetunes: Finetunes, receiver: str) -> None:
    wish = {"url": receiver, "events": ["finetune.completed", "finetune.failed"]}
    secret = finetunes.ask("POST", "/v1/aitextgen/webhooks/create", json=wish)["secret"]
    Receiver.received.clear()
    job = finetunes.wait_for_end(finetunes.order(finetunes.add(sentences(30)), epochs=1))
    wait_until(lambda: len(Receiver.received) == 1)
    ((headers, body),) = Receiver.received
    told = Webhook(secret).verify(body, headers)
    assert told["type"] == "finetune.completed"
    assert told["data"]["model_id"] == job["adapter_id"]


def test_jobs_wait_for_each_other(finetunes: Finetunes) -> None:
    dataset = finetunes.add(sentences(60))
    jobs = [finetunes.order(dataset, epochs=2, seed=seed) for seed in (1, 2)]
    first, second = (finetunes.wait_for_end(job) for job in jobs)
    assert first["state"] == second["state"] == "done"
    assert first["ended_at"] <= second["started_at"]
    database = finetunes.daemon.paths.database_file
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM finetunes").fetchone() == (2,)


def test_what_is_no_base_or_no_dataset_is_refused_at_once(finetunes: Finetunes) -> None:
    dataset = finetunes.add(sentences(60))
    changes: dict[str, dict[str, Any]] = {
        "model": {"model": "nothing"},
        "dataset": {"dataset": "ds_0000000000000000_csv"},
        "rank": {"rank": 0},
        "targets": {"targets": ["embedding"]},
    }
    answers = {
        name: requests.post(
            f"{finetunes.daemon.url}/puna/v1/finetunes",
            headers=finetunes.headers,
            json={"model": "demo", "dataset": dataset, **change},
            timeout=60,
        )
        for name, change in changes.items()
    }
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {"model": 404, "dataset": 404, "rank": 400, "targets": 400}
    assert answers["rank"].json()["detail"] == "`rank` must be a whole number from 1 to 256."
