"""Labels for texts, from models that were fine-tuned on labels."""

from collections.abc import Sequence
from functools import partial

from aiohttp import web
from msgspec import UNSET

from puna.api.body import read_body
from puna.api.completion import complete, run_together
from puna.api.context import context_of
from puna.api.control.classify_schema import CLASSIFY, Classified, ClassifyReply
from puna.api.dialect import Route
from puna.api.exchange import Exchange, exchange_of
from puna.api.model_names import acquire_model
from puna.api.responses import json_response
from puna.domain import classification
from puna.domain.classification import LabelChance
from puna.domain.finetune import AdapterRecord
from puna.errors import InvalidRequestError
from puna.keys.identity import Scope
from puna.residency.lease import Lease

MAX_LABELS = 50
"""Of a model: each label of each text is a request of its own."""
_TEXTS_AT_ONCE = 4


async def classify(request: web.Request) -> web.Response:
    """POST /puna/v1/classify: labels for texts with their probabilities, from a model fine-tuned on labels."""
    body, context, exchange = (
        CLASSIFY.parse(await read_body(request)),
        context_of(request),
        exchange_of(request),
    )
    async with acquire_model(context, exchange.identity, body.model) as lease:
        record = expect_labels(lease.entry.id, context.adapters.find(lease.entry.id))
        classifier = Classifier(lease, exchange, record)
        results = await run_together(
            [partial(classifier.classify, text, tells_all=bool(body.all_labels)) for text in body.texts],
            at_once=_TEXTS_AT_ONCE,
        )
    return json_response(
        ClassifyReply(model=lease.entry.id, is_multi_label=record.is_multi_label, results=tuple(results))
    )


class Classifier:
    """Asks a model about texts, and about all labels of a text at the same time."""

    def __init__(self, lease: Lease, exchange: Exchange, record: AdapterRecord) -> None:
        self._lease = lease
        self._exchange = exchange
        self._labels = record.labels
        self._is_multi_label = record.is_multi_label

    async def classify(self, text: str, *, tells_all: bool) -> Classified:
        """Return the labels of a text. Errors as `Lease.generate`."""
        if not self._is_multi_label:
            every = await self._score(text)
            return to_classified(every[:1], every if tells_all else None)
        request = classification.to_labels_request(text, self._labels)
        written = classification.to_written(await complete(self._lease, request, self._exchange))
        alone = await self._score(text) if tells_all else ()
        return to_classified(written, classification.with_others(written, alone) if tells_all else None)

    async def _score(self, text: str) -> tuple[LabelChance, ...]:
        with_end = classification.needs_end(self._labels)
        completions = await run_together(
            [
                partial(
                    complete,
                    self._lease,
                    classification.to_score_request(text, label, with_end=with_end),
                    self._exchange,
                )
                for label in self._labels
            ],
            at_once=self._lease.loaded.slots,
        )
        scores = map(classification.to_score, self._labels, completions)
        return classification.to_chances(self._labels, list(scores))


def expect_labels(model: str, record: AdapterRecord | None) -> AdapterRecord:
    """Return the record of a model that gives labels. Raises `InvalidRequestError` for all others."""
    if record is None or not record.labels:
        raise InvalidRequestError(
            f"{model} was not fine-tuned on labels; name a model that was, or ask this one over another API.",
            field="model",
        )
    if len(record.labels) > MAX_LABELS:
        raise InvalidRequestError(
            f"{model} knows {len(record.labels)} labels, and classify takes at most {MAX_LABELS}; ask it over another "
            "API, which answers with the label alone.",
            field="model",
        )
    return record


def to_classified(labels: Sequence[LabelChance], every: Sequence[LabelChance] | None) -> Classified:
    """Return what is told of a text. Pure."""
    best = max(labels, key=lambda each: each.probability)
    return Classified(
        label=best.label,
        probability=best.probability,
        labels=tuple(labels),
        all_labels=UNSET if every is None else tuple(every),
    )


CLASSIFY_ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/puna/v1/classify",
        handler=classify,
        scope=Scope.MANAGE,
        body=CLASSIFY,
        reply=ClassifyReply,
    ),
)
"""For `CONTROL.routes` in `puna.api.control.routes`."""
