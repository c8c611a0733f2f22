"""POST /v1/rerank, as Jina, Cohere and llama-server have it."""

from typing import Any

import aiohttp
import pytest

from fakes.asking import post
from fakes.scripted_model import ScriptedLauncher
from puna.api.openai.rerank.convert import from_ranking, to_request
from puna.api.openai.rerank.handler import PATHS
from puna.api.openai.rerank.schema import RERANK
from puna.domain.embedding import Ranking, RankingRequest

BODY = {
    "model": "reranker",
    "query": "where is puna",
    "documents": ["nothing", "where is puna now", {"text": "puna is high"}],
}


@pytest.mark.parametrize("path", PATHS)
async def test_documents_come_back_by_their_score(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher, path: str
) -> None:
    answer = await post(keyed, path, BODY)
    assert answer == {
        "model": "reranker",
        "object": "list",
        "usage": {"prompt_tokens": 15, "total_tokens": 15},
        "results": [
            {"index": 1, "relevance_score": 1.0},
            {"index": 2, "relevance_score": pytest.approx(2 / 3)},
            {"index": 0, "relevance_score": 0.0},
        ],
    }
    documents = ("nothing", "where is puna now", "puna is high")
    assert launcher.worker.ranked == [RankingRequest(query="where is puna", documents=documents)]


async def test_the_best_few_come_with_their_texts(keyed: aiohttp.ClientSession) -> None:
    answer = await post(keyed, PATHS[0], {**BODY, "top_n": 2.0, "return_documents": True})
    assert [each["document"] for each in answer["results"]] == [
        {"text": "where is puna now"},
        {"text": "puna is high"},
    ]


async def test_more_than_there_are_is_all_of_them(keyed: aiohttp.ClientSession) -> None:
    answer = await post(keyed, PATHS[0], {**BODY, "top_n": 100, "max_chunks_per_doc": 3})
    assert len(answer["results"]) == 3


@pytest.mark.parametrize("model", ["demo", "embedder"])
async def test_a_model_that_cannot_rank_says_so(keyed: aiohttp.ClientSession, model: str) -> None:
    error = (await post(keyed, PATHS[0], {**BODY, "model": model}, 400))["error"]
    assert model in error["message"]
    assert error["param"] == "model"


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"query": None}, "query", "a non-empty string"),
        ({"query": ""}, "query", "a non-empty string"),
        ({"documents": []}, "documents", "a list of 1 to 2048 items"),
        ({"documents": ["a"] * 2049}, "documents", "a list of 1 to 2048 items"),
        ({"documents": [1]}, "documents[0]", "a string"),
        ({"documents": [{"title": "a"}]}, "documents[0].text", "required"),
        ({"top_n": 0}, "top_n", "a whole number from 1"),
    ],
)
async def test_a_wrong_field_is_named(
    keyed: aiohttp.ClientSession, fields: dict[str, Any], param: str, words: str
) -> None:
    error = (await post(keyed, PATHS[0], {**BODY, **fields}, 400))["error"]
    assert error["param"] == param
    assert words in error["message"]


async def test_an_error_below_the_short_path_has_the_same_shape(keyed: aiohttp.ClientSession) -> None:
    body = await post(keyed, "/rerank/nothing", BODY, 404)
    assert isinstance(body["error"], dict)
    assert isinstance(body["detail"], str)


def test_documents_of_equal_score_keep_their_order() -> None:
    body = RERANK.parse(b'{"query": "q", "documents": ["a", "b", "c"]}')
    assert to_request(body).is_truncated
    reply = from_ranking(Ranking((0.5, 0.9, 0.5), 3), body, "m")
    assert [result.index for result in reply.results] == [1, 0, 2]
