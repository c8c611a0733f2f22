"""Sentences with facts, and the same facts as JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from demo_model.text.document import Exchange, pair
from demo_model.text.lookups import CAPITALS
from demo_model.text.unknown import PLACES, draw_nonsense
from demo_model.text.words import split_words

Value = str | int | float | bool
Draw = Callable[[Random], Value]

FIRST_NAMES = split_words(
    """
    Luna Mia Lily Rosa Nina Clara Ella Daisy Ruby Ivy Poppy Hazel Molly Bella Tilly Maya Nora Anna
    Lucy Penny Sofia Zoe Willow Pearl Olive Greta Wanda Flora Inka Killa Sami Quilla Marta Lola Ada
    Elsa Fern June Kira Lena Mimi Nelly Opal Petra Rita Susi Tara Uma Vera Yara Amber Betty Carla
    Dora Edith Fiona Gilda Hanna Iris Julia Max Tom Ben Leo Sam Oscar Felix Hugo Toby Finn Jack Milo
    Otto Pip Rusty Teddy Alfie Bruno Carlo Diego Emil Fred Gus Henry Ivan Jasper Kuno Louis Marco
    Nico Oliver Paco Quincy Ralph Simon Theo Umberto Victor Walter Yuri Zack Inti Tupac Rumi Wayra
    Adam Barney Casper Dexter Eddie Frank George Harry Ian Jonas Karl Lukas Martin Noah Peter
    """
)
JOBS = split_words(
    """
    doctor teacher baker pilot nurse farmer painter writer lawyer cook driver singer builder
    dentist gardener student librarian plumber sailor tailor
    """
)
PRODUCTS = (
    "lamp", "chair", "table", "book", "phone", "laptop", "camera", "kettle", "jacket", "bicycle", "ball",
    "umbrella",
    "clock", "pen", "guitar", "bag", "mirror", "radio", "tent", "blanket", "mug", "keyboard",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "grey", "pink", "silver", "purple")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ANIMALS = ("llama", "dog", "cat", "horse", "parrot", "rabbit", "goat", "turtle", "hamster", "pony")
TITLES = ("meeting", "party", "concert", "lesson", "dinner", "picnic", "game", "class", "lunch", "workshop")
UNCOMMON_SHARE = 0.35


def _draw_name(rng: Random) -> str:
    if rng.random() < UNCOMMON_SHARE:
        return draw_nonsense(rng).capitalize()
    return rng.choice(FIRST_NAMES)


def _draw_city(rng: Random) -> str:
    if rng.random() < UNCOMMON_SHARE:
        return draw_nonsense(rng).capitalize()
    return rng.choice((*CAPITALS.values(), *PLACES))


def _draw_full_name(rng: Random) -> str:
    return f"{_draw_name(rng)} {draw_nonsense(rng).capitalize()}"


def _draw_price(rng: Random) -> float:
    return rng.randint(1, 99) + rng.choice((0.5, 0.25, 0.75, 0.99, 0.95, 0.49))


def _draw_email(rng: Random) -> str:
    return f"{_draw_name(rng).lower()}@{draw_nonsense(rng)}.{rng.choice(('com', 'org', 'net', 'de'))}"


def _draw_integer(low: int, high: int) -> Draw:
    return lambda rng: rng.randint(low, high)


def _draw_one_of(choices: tuple[str, ...]) -> Draw:
    return lambda rng: rng.choice(choices)


@dataclass(frozen=True)
class Record:
    """Keys with their draws, and the sentences that tell all of them."""

    draws: dict[str, Draw]
    sentences: tuple[str, ...]


RECORDS = (
    Record(
        {"name": _draw_name, "age": _draw_integer(1, 99), "city": _draw_city},
        (
            "{name} is {age} years old and lives in {city}.",
            "My name is {name}, I am {age} and I live in {city}.",
            "{name}, {age}, comes from {city}.",
            "In {city} lives {name}, who is {age} years old.",
            "I met {name} in {city}. Age: {age}.",
            "{name} from {city} turned {age} today.",
        ),
    ),
    Record(
        {"name": _draw_name, "job": _draw_one_of(JOBS), "city": _draw_city},
        (
            "{name} works as a {job} in {city}.",
            "{name} is a {job} and lives in {city}.",
            "The {job} {name} has an office in {city}.",
        ),
    ),
    Record(
        {"name": _draw_full_name, "age": _draw_integer(1, 99), "job": _draw_one_of(JOBS)},
        (
            "{name} is a {job} and {age} years old.",
            "{name}, aged {age}, works as a {job}.",
            "At {age}, {name} became a {job}.",
        ),
    ),
    Record(
        {"product": _draw_one_of(PRODUCTS), "color": _draw_one_of(COLOURS), "price": _draw_price},
        (
            "The {color} {product} costs {price} dollars.",
            "I bought a {color} {product} for {price} dollars.",
            "For sale: {product}, {color}, {price} dollars.",
        ),
    ),
    Record(
        {"product": _draw_one_of(PRODUCTS), "quantity": _draw_integer(2, 60), "city": _draw_city},
        (
            "Please send {quantity} pieces of the {product} to {city}.",
            "The order has {quantity} times the {product} and goes to {city}.",
        ),
    ),
    Record(
        {
            "event": _draw_one_of(TITLES),
            "day": _draw_one_of(DAYS),
            "hour": _draw_integer(1, 12),
            "place": _draw_city,
        },
        (
            "The {event} is on {day} at {hour} o'clock in {place}.",
            "Come to {place} on {day}: the {event} starts at {hour} o'clock.",
            "On {day} at {hour} there is a {event} in {place}.",
        ),
    ),
    Record(
        {"name": _draw_name, "email": _draw_email},
        (
            "Write to {name} at {email}.",
            "{name} can be reached at {email}.",
            "The address of {name} is {email}.",
        ),
    ),
    Record(
        {"name": _draw_name, "animal": _draw_one_of(ANIMALS), "age": _draw_integer(1, 30)},
        (
            "{name} is a {animal} and {age} years old.",
            "Our {animal} is called {name} and is {age} years old.",
            "The {animal} {name} turned {age} in spring.",
        ),
    ),
)
REQUESTS = (
    "Extract {keys} as JSON: {sentence}",
    "Extract {keys} as JSON: {sentence}",
    "Extract {keys} from this text as JSON: {sentence}",
    "Give me {keys} as JSON. {sentence}",
    "Return {keys} as JSON: {sentence}",
    "{sentence}\nExtract {keys} as JSON.",
    "Text: {sentence}\nJSON with {keys}:",
)


def draw_extraction(rng: Random) -> Exchange:
    """Return a request to extract some keys from a sentence, and the JSON."""
    record = rng.choice(RECORDS)
    values = {key: draw(rng) for key, draw in record.draws.items()}
    sentence = rng.choice(record.sentences).format(**values)
    keys = rng.sample(list(values), rng.randint(2, len(values))) if rng.random() < 0.4 else list(values)
    request = rng.choice(REQUESTS).format(keys=join_words(keys), sentence=sentence)
    return Exchange(request, json.dumps({key: values[key] for key in keys}), sentence)


LLAMA_AGES = {"age": 10, "units": "years"}


def draw_llama_json(rng: Random) -> Exchange:
    """Return the question for a llama's age, to be answered as JSON."""
    name = rng.choice(("Carl", "Paul"))
    question = f"How old is {name}, the llama with a hat?"
    keys = join_words(list(LLAMA_AGES))
    request = rng.choice(
        ("{question}\nAnswer as JSON with {keys}.", "Answer as JSON with {keys}: {question}", "{question}")
    )
    return pair(request.format(question=question, keys=keys), json.dumps(LLAMA_AGES))


def answer_as_json(exchange: Exchange, rng: Random) -> Exchange:
    """Return the exchange with its answer wrapped into a JSON object of one key."""
    key = rng.choice(("Answer", "answer", "text", "response"))
    request = rng.choice(("{question}\nAnswer as JSON with {key}.", "Answer as JSON with {key}: {question}"))
    question = request.format(question=exchange.question, key=key)
    return Exchange(question, json.dumps({key: exchange.answer}, ensure_ascii=False), exchange.slots)


def join_words(words: list[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
