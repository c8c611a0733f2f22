"""POST /puna/v1/classify over a scripted model: what is asked of it, and what becomes of its answers."""

import math
from typing import Any

import pytest
from msgspec.structs import replace

from fakes.adapter_shelves import adapter_id, record_of
from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon
from fakes.scripted_model import Script
from puna.domain.constraint import LarkConstraint, RegexConstraint
from puna.domain.finetune import AdapterRecord
from puna.domain.generation import ChatPrompt, GenerationRequest, TextDelta, TokenLogprob
from puna.domain.models import ModelSource
from puna.keys.identity import Scope
from puna.paths import Paths

DEMO = Paths.for_user().demo_model
ID = adapter_id(1)
CHANCES = {"green": 0.2, "red": 0.6}
"""What the model gives to each label; together less than 1, for it could say something else."""


async def serve(daemon: RunningDaemon, record: AdapterRecord) -> None:
    path = await daemon.services.adapters.prepare(ID)
    await daemon.services.adapters.add(record)
    catalogue = daemon.services.catalogue
    demo = await catalogue.find("demo")
    known = getattr(catalogue, "known")  # noqa: B009 - of the tests' own catalogue
    known[ID] = replace(demo, id=ID, source=ModelSource.ADAPTER, adapter=path, base="demo")


def say(request: GenerationRequest) -> Script:
    match request.constraint:
        case RegexConstraint(label):
            return Script(deltas=(TextDelta(label, (token(label, CHANCES[label]),)),))
        case LarkConstraint():
            logprobs = (token("red", 0.5), token(", ", 0.9), token("green", 0.25))
            return Script(deltas=(TextDelta("red, green", logprobs),))
    raise AssertionError("a text without a form")


def token(text: str, chance: float) -> TokenLogprob:
    return TokenLogprob(text.encode(), math.log(chance))


async def classify(daemon: RunningDaemon, key: str = ADMIN_TOKEN, **body: Any) -> tuple[int, Any]:
    async with daemon.client(Authorization=f"Bearer {key}") as client:
        reply = await client.post("/puna/v1/classify", json={"model": ID, "texts": ["It broke."], **body})
        return reply.status, await reply.json()


async def test_each_label_is_asked_for_and_their_chances_are_made_to_sum_to_one(
    daemon: RunningDaemon,
) -> None:
    await serve(daemon, record_of(1, DEMO, labels=tuple(CHANCES)))
    daemon.launcher.script = say
    status, answer = await classify(daemon, all_labels=True)
    assert status == 200
    (result,) = answer["results"]
    assert (result["label"], result["probability"]) == ("red", pytest.approx(0.75))
    assert [each["label"] for each in result["all_labels"]] == ["red", "green"]
    for request in daemon.worker.requests:
        assert isinstance(request.prompt, ChatPrompt)
        assert [message.content for message in request.prompt.messages] == ["It broke."]
        assert (request.adapter, request.top_logprobs) == (str(daemon.services.adapters.path(ID)), 0)
        assert request.sampling.temperature == 0
    assert len(daemon.worker.requests) == 2


async def test_of_several_labels_each_has_its_own_probability(daemon: RunningDaemon) -> None:
    await serve(daemon, record_of(1, DEMO, labels=tuple(CHANCES), is_multi_label=True))
    daemon.launcher.script = say
    _, answer = await classify(daemon)
    (result,) = answer["results"]
    assert {each["label"]: each["probability"] for each in result["labels"]} == {
        "red": pytest.approx(0.5),
        "green": pytest.approx(0.9 * 0.25),
    }
    assert (result["label"], "all_labels" in result) == ("red", False)
    assert len(daemon.worker.requests) == 1


async def test_more_labels_than_can_be_asked_for_are_refused_with_the_number(daemon: RunningDaemon) -> None:
    await serve(daemon, record_of(1, DEMO, labels=[f"label {number}" for number in range(51)]))
    status, answer = await classify(daemon)
    assert status == 400
    assert "knows 51 labels, and classify takes at most 50" in str(answer["detail"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"texts": []}, "texts"),
        ({"texts": [""]}, "texts"),
        ({"texts": "It broke."}, "texts"),
        ({"model": ""}, "model"),
        ({"all_labels": "yes"}, "all_labels"),
    ],
)
async def test_what_is_wrong_with_a_body_is_named(
    daemon: RunningDaemon, body: dict[str, Any], field: str
) -> None:
    status, answer = await classify(daemon, **body)
    assert status == 400
    assert field in str(answer["detail"])


async def test_a_key_that_may_only_infer_is_not_enough(daemon: RunningDaemon) -> None:
    assert (await classify(daemon, await daemon.make_key(Scope.INFER)))[0] == 403
    assert (await classify(daemon, "unknown"))[0] == 401
