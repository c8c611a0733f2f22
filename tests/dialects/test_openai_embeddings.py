"""POST /v1/embeddings: the real `openai` client, sync and async, and what no SDK sends."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import openai
import pytest
from openai.types import CreateEmbeddingResponse

from fakes.asking import post
from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.scripted_model import ScriptedLauncher
from puna.api.openai.embeddings.convert import to_item, to_request
from puna.api.openai.embeddings.schema import EMBEDDINGS, MAX_INPUTS, VectorFormat
from puna.config import Settings
from puna.domain.embedding import EmbeddingRequest
from puna.errors import ContextOverflowError, InvalidRequestError

PATH = "/v1/embeddings"


class Client(Protocol):
    """Both clients behind one way to call them."""

    async def create(self, **fields: Any) -> CreateEmbeddingResponse: ...


class Sync:
    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    async def create(self, **fields: Any) -> CreateEmbeddingResponse:
        return await asyncio.to_thread(lambda: self._client.embeddings.create(**fields))


class Async:
    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def create(self, **fields: Any) -> CreateEmbeddingResponse:
        return await self._client.embeddings.create(**fields)


@pytest.fixture(params=["sync", "async"])
async def real(request: pytest.FixtureRequest, daemon: RunningDaemon, key: str) -> AsyncIterator[Client]:
    url = f"{daemon.url}/v1"
    if request.param == "sync":
        with openai.OpenAI(base_url=url, api_key=key, max_retries=0) as client:
            yield Sync(client)
    else:
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            yield Async(client)


async def test_the_client_gets_a_vector_for_each_text_in_order(
    real: Client, launcher: ScriptedLauncher
) -> None:
    answer = await real.create(model="embedder", input=["Once", "a"])
    assert [(item.index, item.object) for item in answer.data] == [(0, "embedding"), (1, "embedding")]
    assert [item.embedding for item in answer.data] == [
        [4.0, float(ord("O")), 0, 0],
        [1.0, float(ord("a")), 0, 0],
    ]
    assert (answer.object, answer.model) == ("list", "embedder")
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (10, 10)
    assert launcher.worker.embedded == [EmbeddingRequest(inputs=("Once", "a"))]


@pytest.mark.parametrize("wanted", ["float", "base64"])
async def test_the_client_may_ask_for_either_format(real: Client, wanted: str) -> None:
    answer = await real.create(model="embedder", input="Once", encoding_format=wanted)
    embedding: Any = answer.data[0].embedding
    if wanted == "base64":
        embedding = struct.unpack("<4f", base64.b64decode(embedding))
    assert tuple(embedding) == (4.0, float(ord("O")), 0.0, 0.0)


async def test_the_client_may_send_tokens(real: Client, launcher: ScriptedLauncher) -> None:
    one = await real.create(model="embedder", input=[7, 8, 9])
    two = await real.create(model="embedder", input=[[7], [8, 9]])
    assert [item.embedding[:2] for item in one.data] == [[3, 7]]
    assert [item.embedding[:2] for item in two.data] == [[1, 7], [2, 8]]
    assert [request.inputs for request in launcher.worker.embedded] == [((7, 8, 9),), ((7,), (8, 9))]


async def test_the_client_may_ask_for_fewer_dimensions(real: Client, launcher: ScriptedLauncher) -> None:
    answer = await real.create(model="embedder", input="Once", dimensions=2, user="somebody")
    assert len(answer.data[0].embedding) == 2
    assert launcher.worker.embedded[0].dimensions == 2


async def test_the_client_is_told_what_it_did_wrong(real: Client) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await real.create(model="embedder", input="Once", dimensions=5)
    assert caught.value.param == "dimensions"
    assert "from 1 to 4" in caught.value.message
    with pytest.raises(openai.BadRequestError, match="must not be empty"):
        await real.create(model="embedder", input="")
    with pytest.raises(openai.NotFoundError) as missing:
        await real.create(model="nothing", input="Once")
    assert missing.value.code == "model_not_found"


async def test_answers_name_the_model_as_their_requests_did(tmp_path: Path) -> None:
    settings = Settings(rate_limits="off", model_aliases=("ada=embedder", "judge=reranker"))
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        vectors = await post(client, PATH, {"model": "ada", "input": "Once"})
        ranking = await post(client, "/v1/rerank", {"model": "judge", "query": "a", "documents": ["a"]})
    assert (vectors["model"], ranking["model"]) == ("ada", "judge")


@pytest.mark.parametrize("model", ["demo", "reranker"])
async def test_a_model_that_cannot_embed_says_so(real: Client, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await real.create(model=model, input="Once")
    assert caught.value.param == "model"
    assert model in caught.value.message


async def test_an_embedding_model_does_not_chat(keyed: aiohttp.ClientSession) -> None:
    body = {"model": "embedder", "messages": [{"role": "user", "content": "Hello"}]}
    error = (await post(keyed, "/v1/chat/completions", body, 400))["error"]
    assert "embedding model" in error["message"]
    assert error["param"] == "model"


async def test_what_fails_in_the_worker_is_told(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(keyed, PATH, {"model": "embedder", "input": "Once"})

    async def overflow(_: EmbeddingRequest) -> None:
        raise ContextOverflowError("The input has 9000 tokens, and this model takes 512 at once; shorten it.")

    monkeypatch.setattr(launcher.worker, "embed", overflow)
    error = (await post(keyed, PATH, {"model": "embedder", "input": "Once"}, 400))["error"]
    assert error["code"] == "context_length_exceeded"
    assert "9000" in error["message"]
    assert "512" in error["message"]


async def test_without_a_model_the_current_one_must_embed(keyed: aiohttp.ClientSession) -> None:
    error = (await post(keyed, PATH, {"input": "Once"}, 400))["error"]
    assert "demo is a text model" in error["message"]


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({}, "input", "required"),
        ({"input": []}, "input", "a list of 1 to 1000000 items"),
        ({"input": None}, "input", "a string"),
        ({"input": ["a", 1]}, "input", "a list of lists of tokens"),
        ({"input": [1, -1]}, "input", "from 0 to 2147483647"),
        ({"input": [[1], [2**70]]}, "input", "from 0 to 2147483647"),
        ({"input": [[1], "a"]}, "input", "a list of lists of tokens"),
        ({"input": ["a", ""]}, "input", r"`input[1]` must not be empty"),
        ({"input": [[1], []]}, "input", r"`input[1]` must not be empty"),
        ({"input": [True]}, "input[0]", "must be"),
        ({"input": ["a"] * (MAX_INPUTS + 1)}, "input", "at most 2048"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "one of float, base64"),
        ({"input": "a", "dimensions": 0}, "dimensions", "a whole number from 1"),
    ],
)
async def test_a_wrong_field_is_named(
    keyed: aiohttp.ClientSession, fields: dict[str, Any], param: str, words: str
) -> None:
    error = (await post(keyed, PATH, {"model": "embedder", **fields}, 400))["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"


async def test_unknown_fields_nulls_and_whole_numbers_with_a_point_are_fine(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    body = {
        "model": "embedder",
        "input": "Once",
        "dimensions": 2.0,
        "encoding_format": None,
        "user": None,
        "x": 1,
    }
    answer = await post(keyed, PATH, body)
    assert len(answer["data"][0]["embedding"]) == 2
    assert launcher.worker.embedded[0].dimensions == 2


async def test_as_many_inputs_as_openai_takes_come_back_in_order(keyed: aiohttp.ClientSession) -> None:
    texts = [chr(ord("a") + index % 26) * (1 + index % 5) for index in range(MAX_INPUTS)]
    answer = await post(keyed, PATH, {"model": "embedder", "input": texts})
    assert [item["index"] for item in answer["data"]] == list(range(MAX_INPUTS))
    assert [item["embedding"][0] for item in answer["data"]] == [len(text) for text in texts]


def test_a_single_list_of_tokens_is_one_input_however_long() -> None:
    body = EMBEDDINGS.parse(b'{"input": [' + b"1," * 5000 + b"1]}")
    assert to_request(body).inputs == ((1,) * 5001,)


def test_a_list_of_too_many_lists_is_refused() -> None:
    body = EMBEDDINGS.parse(b'{"input": [' + b"[1]," * MAX_INPUTS + b"[1]]}")
    with pytest.raises(InvalidRequestError, match="at most 2048"):
        to_request(body)


def test_base64_is_the_bytes_themselves() -> None:
    vector = struct.pack("<3f", 0.1, -2.0, 3e-30)
    assert to_item(vector, 3, VectorFormat.BASE64).embedding == base64.b64encode(vector).decode()
    assert to_item(vector, 3, None).embedding == struct.unpack("<3f", vector)
    assert to_item(vector, 3, VectorFormat.FLOAT).index == 3
