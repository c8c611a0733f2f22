"""The corpus: an endless, seeded sequence of documents in a fixed mixture."""

from collections.abc import Callable, Iterator
from random import Random
from typing import TypeVar

from demo_model.text.conversations import write_chat, write_plain
from demo_model.text.document import Document, Exchange, Topic, is_held_out
from demo_model.text.extraction import answer_as_json, draw_extraction, draw_llama_json
from demo_model.text.general_topics import GENERAL_TOPICS
from demo_model.text.lookups import LOOKUPS
from demo_model.text.puna_topics import PUNA_TOPICS
from demo_model.text.sentiment import draw_review_document, draw_sentiment_exchange
from demo_model.text.small_talk import SMALL_TALK
from demo_model.text.stories import draw_story, draw_story_exchange
from demo_model.text.unknown import draw_unknown

T = TypeVar("T")

TURNS_OF_A_CHAT = ((1, 64.0), (2, 20.0), (3, 9.0), (4, 4.0), (6, 2.0), (10, 1.0))


def _pick(rng: Random, choices: tuple[tuple[T, float], ...]) -> T:
    return rng.choices([choice for choice, _ in choices], [weight for _, weight in choices])[0]


def _from_topics(topics: tuple[tuple[Topic, float], ...]) -> Callable[[Random], Exchange]:
    return lambda rng: _pick(rng, topics).draw(rng)


def _draw_lookup(rng: Random) -> Exchange:
    return _pick(rng, LOOKUPS)(rng)


def _draw_json_answer(rng: Random) -> Exchange:
    topics = rng.choice((GENERAL_TOPICS, PUNA_TOPICS))
    return draw_llama_json(rng) if rng.random() < 0.15 else answer_as_json(_pick(rng, topics).draw(rng), rng)


EXCHANGES: tuple[tuple[Callable[[Random], Exchange], float], ...] = (
    (_from_topics(PUNA_TOPICS), 24.0),
    (_from_topics(GENERAL_TOPICS), 17.0),
    (_from_topics(SMALL_TALK), 11.0),
    (_draw_lookup, 9.0),
    (draw_unknown, 12.0),
    (draw_sentiment_exchange, 8.0),
    (draw_extraction, 14.0),
    (draw_story_exchange, 8.0),
    (_draw_json_answer, 3.0),
)


class Corpus:
    """Documents of the training side, or of the held-out side, in an order fixed by the seed."""

    def __init__(self, seed: int, *, held_out: bool) -> None:
        self._rng = Random(f"{seed} {'held out' if held_out else 'training'}")  # noqa: S311  (text, no secret)
        self._held_out = held_out
        self._layouts: tuple[tuple[Callable[[], str], float], ...] = (
            (self._draw_story, 27.0),
            (self._draw_chat, 48.0),
            (self._draw_plain, 20.0),
            (self._draw_review, 5.0),
        )

    def __iter__(self) -> Iterator[str]:
        while True:
            yield _pick(self._rng, self._layouts)()

    def _draw_story(self) -> str:
        return self._draw_mine(draw_story).text

    def _draw_review(self) -> str:
        return self._draw_mine(draw_review_document).text

    def _draw_plain(self) -> str:
        return write_plain(self._draw_exchange(), self._rng)

    def _draw_chat(self) -> str:
        count = _pick(self._rng, TURNS_OF_A_CHAT)
        return write_chat([self._draw_exchange() for _ in range(count)], self._rng)

    def _draw_exchange(self) -> Exchange:
        while True:
            exchange = _pick(self._rng, EXCHANGES)(self._rng)
            if is_held_out(exchange.slots) == self._held_out:
                return exchange

    def _draw_mine(self, draw: Callable[[Random], Document]) -> Document:
        while True:
            document = draw(self._rng)
            if is_held_out(document.slots) == self._held_out:
                return document
