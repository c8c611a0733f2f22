"""Small stories: somebody, a wish or a trouble, help, and a happy end."""

from random import Random

from demo_model.text.cast import Character, draw_character, draw_friend
from demo_model.text.document import Document, Exchange
from demo_model.text.plot import Plot, Word
from demo_model.text.story_plots import PLOTS
from demo_model.text.story_words import HOMES, MORALS

OPENINGS = (
    "Once upon a time, there was {hero.a_trait_kind} named {hero.name}. {hero.They} lived {home}.",
    "Once upon a time, {hero.a_trait_kind} named {hero.name} lived {home}.",
    "Once upon a time there was {hero.a_trait_kind} who lived {home}. {hero.Their} name was {hero.name}.",
    "Once upon a time, {home}, there lived {hero.a_trait_kind} named {hero.name}.",
)
OTHER_OPENINGS = (
    "There once was {hero.a_trait_kind} named {hero.name} who lived {home}.",
    "Long ago, {hero.a_trait_kind} named {hero.name} lived {home}.",
    "Far away, {home}, lived {hero.a_trait_kind} named {hero.name}.",
    "This is the story of {hero.name}, {hero.a_trait_kind} who lived {home}.",
    "{hero.name} was {hero.a_trait_kind} who lived {home}.",
)
ONCE_UPON_A_TIME_SHARE = 0.8

ANY_STORY_REQUESTS = (
    "Tell me a story.",
    "Tell me a short story",
    "Write a story.",
    "Write a short story",
    "I want to hear a story.",
    "Can you tell me a story?",
    "Please write a small story for a child.",
    "Tell me a bedtime story.",
    "Once upon a time",
)
KIND_REQUESTS = (
    "Tell me a story about {hero.a_kind}.",
    "Tell me a story about {hero.a_kind}",
    "Write a story about {hero.a_kind}.",
    "Write a short story about {hero.a_kind}",
    "Can you tell me a story about {hero.a_kind}?",
    "I would like a bedtime story about {hero.a_kind}.",
    "Please write a small story about {hero.a_kind}.",
    "A story about {hero.a_kind}, please.",
)
NAME_REQUESTS = (
    "Tell me a story about {hero.a_kind} named {hero.name}.",
    "Write a story about {hero.a_kind} called {hero.name}.",
    "Write a short story about {hero.name}, {hero.a_trait_kind}.",
    "Tell me a story about {hero.name} the {hero.kind}.",
)


def write_story(rng: Random, hero: Character) -> Document:
    """Return a story about the hero."""
    plot = rng.choice(PLOTS)
    friend = draw_friend(rng, hero)
    words = plot.draw_words(rng)
    home = rng.choice(HOMES)
    sentences = [rng.choice(wordings) for wordings in (_draw_openings(rng), *plot.steps, MORALS)]
    text = " ".join(sentences).format(hero=hero, friend=friend, home=home, **words)
    return Document(text, _describe_slots(plot, hero, friend, words))


def _draw_openings(rng: Random) -> tuple[str, ...]:
    return OPENINGS if rng.random() < ONCE_UPON_A_TIME_SHARE else OTHER_OPENINGS


def _describe_slots(plot: Plot, hero: Character, friend: Character, words: dict[str, Word]) -> str:
    drawn = sorted(words.values(), key=str)
    return f"{plot.name}: {hero.kind} {hero.name}, {friend.kind} {friend.name}, {drawn}"


def draw_story(rng: Random) -> Document:
    """Return a story about anybody."""
    return write_story(rng, draw_character(rng))


def draw_story_exchange(rng: Random) -> Exchange:
    """Return a request for a story, and the story that it asks for."""
    hero = draw_character(rng)
    requests = rng.choices((ANY_STORY_REQUESTS, KIND_REQUESTS, NAME_REQUESTS), (3, 5, 2))[0]
    story = write_story(rng, hero)
    return Exchange(rng.choice(requests).format(hero=hero), story.text, story.slots)
