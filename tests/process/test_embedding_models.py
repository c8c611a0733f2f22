"""A real daemon with tiny embedding models and rerankers, over HTTP."""

from pathlib import Path

import openai
import pytest
import requests

from fakes.tiny_embedders import WIDTH, write_embedder, write_reranker
from process.conftest import RunningDaemon, StartDaemon


@pytest.fixture
def embedding_daemon(start_daemon: StartDaemon, tmp_path: Path) -> RunningDaemon:
    folder = tmp_path / "models"
    write_embedder(folder / "tiny-embedder.gguf")
    write_reranker(folder / "tiny-reranker.gguf")
    return start_daemon("--model-folder", str(folder))


def test_a_client_embeds_and_ranks_and_is_told_which_model_does_not(embedding_daemon: RunningDaemon) -> None:
    with openai.OpenAI(base_url=f"{embedding_daemon.url}/v1", api_key="none", max_retries=0) as client:
        single = client.embeddings.create(model="tiny-embedder", input="the llama")
        both = client.embeddings.create(
            model="tiny-embedder", input=["where is puna?", "the llama"], encoding_format="float"
        )
        assert len(single.data[0].embedding) == WIDTH
        assert both.data[1].embedding == pytest.approx(single.data[0].embedding, abs=1e-5)
        assert both.usage.prompt_tokens == 6 + 4
        with pytest.raises(openai.BadRequestError, match="text model"):
            client.embeddings.create(model="demo", input="the llama")
        with pytest.raises(openai.BadRequestError, match="embedding model"):
            client.chat.completions.create(
                model="tiny-embedder", messages=[{"role": "user", "content": "Hello"}]
            )
        with pytest.raises(openai.BadRequestError, match=r"202 tokens.* 128 at once"):
            client.embeddings.create(model="tiny-embedder", input="llama " * 200)
    body = {"model": "tiny-reranker", "query": "what eats grass?", "documents": ["the llama", "a high plain"]}
    results = requests.post(f"{embedding_daemon.url}/v1/rerank", json=body, timeout=60).json()["results"]
    assert {result["index"] for result in results} == {0, 1}
    assert 1 > results[0]["relevance_score"] > results[1]["relevance_score"] > 0
