"""From the body of POST /v1/rerank to the domain, and back. Pure."""

from msgspec import UNSET

from puna.api.openai.embeddings.replies import InputUsage
from puna.api.openai.rerank.replies import RankedDocument, RankReply, RerankReply
from puna.api.openai.rerank.schema import RerankBody
from puna.domain.embedding import Ranking, RankingRequest


def to_request(body: RerankBody) -> RankingRequest:
    """Return what is asked for."""
    return RankingRequest(query=body.query, documents=_texts_of(body))


def from_ranking(ranking: Ranking, body: RerankBody, model: str) -> RerankReply:
    """Return the answer: the best first, those of equal score in the order of the request."""
    texts = _texts_of(body)
    order = sorted(range(len(texts)), key=lambda index: -ranking.scores[index])
    if body.top_n is not None:
        order = order[: int(body.top_n)]
    results = (
        RankReply(
            index=index,
            relevance_score=ranking.scores[index],
            document=RankedDocument(texts[index]) if body.return_documents else UNSET,
        )
        for index in order
    )
    return RerankReply(
        model=model,
        usage=InputUsage(ranking.prompt_tokens, ranking.prompt_tokens),
        results=tuple(results),
    )


def _texts_of(body: RerankBody) -> tuple[str, ...]:
    return tuple(each if isinstance(each, str) else each.text for each in body.documents)
