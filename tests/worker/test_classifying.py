"""Scores of labels on the demo model: the whole label counts, and its end where another one begins with it."""

import asyncio
import math

import pytest

from puna.domain.classification import to_labels_request, to_score, to_score_request, to_written
from puna.domain.generation import Completion, CompletionBuilder, Finished, GenerationRequest, Started
from puna.engine.remote import RemoteWorker

TEXT = "The llama by the lake was happy."


async def complete(worker: RemoteWorker, request: GenerationRequest) -> Completion:
    builder = CompletionBuilder()
    async for event in worker.generate(request):
        match event:
            case Started():
                pass
            case Finished():
                return builder.finish(event)
            case _:
                builder.push(event)
    raise AssertionError("no last event")


def written_in(completion: Completion) -> str:
    return b"".join(token.text for token in completion.logprobs).decode()


@pytest.mark.parametrize("label", ["green", "go", "très rare: (1/2)", "a label of several words"])
async def test_every_token_of_a_label_is_scored_by_the_model_itself(worker: RemoteWorker, label: str) -> None:
    completion = await complete(worker, to_score_request(TEXT, label, with_end=False))
    assert completion.text == written_in(completion) == label
    score = to_score(label, completion)
    assert math.isfinite(score)
    assert score == pytest.approx(sum(token.logprob for token in completion.logprobs))
    assert score < -1, "the format makes a label certain, the model does not"


async def test_the_end_of_the_text_is_a_part_of_the_score_where_it_matters(worker: RemoteWorker) -> None:
    plain = await complete(worker, to_score_request(TEXT, "go", with_end=False))
    ended = await complete(worker, to_score_request(TEXT, "go", with_end=True))
    assert written_in(ended) == "go\n"
    assert any(not each.text for each in ended.logprobs[-1].top) or len(ended.logprobs[-1].top) == 20
    assert to_score("go", ended) < to_score("go", plain)


async def test_scores_do_not_depend_on_what_else_is_asked(worker: RemoteWorker) -> None:
    labels = ["green", "red", "blue", "yellow"]
    requests = [to_score_request(TEXT, label, with_end=False) for label in labels]
    alone = [
        to_score(label, await complete(worker, each)) for label, each in zip(labels, requests, strict=True)
    ]
    together = await asyncio.gather(*(complete(worker, each) for each in requests))
    assert [to_score(*pair) for pair in zip(labels, together, strict=True)] == pytest.approx(alone, abs=0.02)


async def test_labels_are_written_each_at_most_once(worker: RemoteWorker) -> None:
    labels = ("green", "greenish", "red", "blue/violet")
    for text in (TEXT, "green green green green, red red", "blue"):
        completion = await complete(worker, to_labels_request(text, labels))
        written = to_written(completion)
        names = [each.label for each in written]
        assert names
        assert set(names) <= set(labels)
        assert len(set(names)) == len(names)
        assert all(0 < each.probability <= 1 for each in written)
