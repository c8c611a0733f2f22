"""Exchanges laid out as documents: ChatML with and without a system message, and plain text."""

from collections.abc import Sequence
from random import Random

from demo_model.markup import write_turn
from demo_model.text.document import Exchange

DEFAULT_SYSTEM = "You are a helpful assistant."
SYSTEMS = (
    "You are Puna, a small demo model.",
    "You are a friendly assistant.",
    "You are a helpful and honest assistant.",
    "You answer briefly.",
    "Be concise.",
    "You are a teacher for children.",
    "Answer in one sentence.",
    "You are the assistant of a desktop program.",
    "You are a helpful assistant. Answer politely.",
    "Answer as well as you can.",
)
ROLES = (
    "teacher",
    "poet",
    "pirate",
    "guide",
    "scientist",
    "cook",
    "robot",
    "writer",
    "coach",
    "expert",
    "librarian",
)
MANNERS = (
    "friendly",
    "patient",
    "polite",
    "clever",
    "cheerful",
    "serious",
    "funny",
    "honest",
    "careful",
    "kind",
)

MORE_REQUESTS = (
    "Tell me more",
    "Tell me more.",
    "More, please.",
    "Go on.",
    "Can you tell me more?",
    "Tell me more!",
)
PLAIN_LAYOUTS = {
    "{question}\n{answer}": 8.0,
    "{question}\n\n{answer}": 1.0,
    "Question: {question}\nAnswer: {answer}": 1.0,
    "Q: {question}\nA: {answer}": 0.6,
    "User: {question}\nAssistant: {answer}": 0.8,
}
SYSTEM_SHARE = 0.5
MORE_SHARE = 0.4
SHORTENED_SHARE = 0.2
TYPED_CARELESSLY_SHARE = 0.15
LONGEST_VARIED_QUESTION = 50


def write_plain(exchange: Exchange, rng: Random) -> str:
    """Return an exchange as plain text."""
    layout = rng.choices(list(PLAIN_LAYOUTS), list(PLAIN_LAYOUTS.values()))[0]
    return layout.format(question=_vary(exchange.question, rng), answer=exchange.answer)


def write_chat(exchanges: Sequence[Exchange], rng: Random) -> str:
    """Return exchanges as one ChatML conversation."""
    turns = [write_turn("system", _draw_system(rng))] if rng.random() < SYSTEM_SHARE else []
    for exchange in exchanges:
        turns += _write_exchange(exchange, rng)
    return "".join(turns)


def _write_exchange(exchange: Exchange, rng: Random) -> list[str]:
    asks_more = bool(exchange.more) and rng.random() < MORE_SHARE
    answer = exchange.answer
    if asks_more and rng.random() < SHORTENED_SHARE:
        answer = " ".join(answer.split()[:3]) + "..."
    turns = [write_turn("user", _vary(exchange.question, rng)), write_turn("assistant", answer)]
    if asks_more:
        turns += [write_turn("user", rng.choice(MORE_REQUESTS)), write_turn("assistant", exchange.more)]
    return turns


def _draw_system(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.5:
        return DEFAULT_SYSTEM
    if draw < 0.8:
        return rng.choice(SYSTEMS)
    return f"You are a {rng.choice(MANNERS)} {rng.choice(ROLES)}."


def _vary(question: str, rng: Random) -> str:
    """Return the question as somebody in a hurry would type it, now and then."""
    if len(question) > LONGEST_VARIED_QUESTION or rng.random() > TYPED_CARELESSLY_SHARE:
        return question
    return rng.choice((question.lower(), question.rstrip("?.!"), f"Please: {question}", f"Hey, {question}"))
