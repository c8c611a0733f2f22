"""For fakes of text models: what no test asks of them."""

import asyncio

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking, RankingRequest
from puna.domain.generation import Prompt


class TextOnly:
    """Neither embeds, ranks nor counts, and does not die."""

    async def embed(self, request: EmbeddingRequest) -> Embedding:
        raise AssertionError(request)

    async def rank(self, request: RankingRequest) -> Ranking:
        raise AssertionError(request)

    async def count_tokens(self, prompt: Prompt) -> int:
        raise AssertionError(prompt)

    async def wait_end(self) -> str:
        """Live for ever."""
        await asyncio.Event().wait()
        raise AssertionError
