"""Questions that are made from small tables: capitals, sums, opposites, sounds of animals."""

from random import Random

from demo_model.text.document import Exchange, pair

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "England": "London", "Ireland": "Dublin", "Austria": "Vienna", "Switzerland": "Bern", "Poland": "Warsaw",
    "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki", "Denmark": "Copenhagen",
    "Greece": "Athens",
    "Turkey": "Ankara", "Egypt": "Cairo", "Kenya": "Nairobi", "Japan": "Tokyo", "China": "Beijing",
    "India": "New Delhi", "Peru": "Lima", "Bolivia": "Sucre", "Chile": "Santiago",
    "Argentina": "Buenos Aires",
    "Brazil": "Brasilia", "Mexico": "Mexico City", "Canada": "Ottawa", "Cuba": "Havana",
    "Australia": "Canberra",
    "Belgium": "Brussels", "the Netherlands": "Amsterdam", "Hungary": "Budapest", "Russia": "Moscow",
    "Ecuador": "Quito", "Colombia": "Bogota", "South Korea": "Seoul", "Thailand": "Bangkok",
    "Iceland": "Reykjavik",
    "the United States": "Washington",
}  # fmt: skip

SOUNDS = {
    "cow": "moo", "dog": "woof", "cat": "meow", "duck": "quack", "sheep": "baa",
    "rooster": "cock-a-doodle-doo",
    "owl": "hoo", "bee": "buzz", "frog": "croak", "pig": "oink", "lion": "roar", "llama": "hum",
    "mouse": "squeak",
    "bird": "tweet",
}  # fmt: skip

OPPOSITES = {
    "big": "small", "hot": "cold", "day": "night", "good": "bad", "fast": "slow", "old": "young",
    "light": "dark",
    "happy": "sad", "up": "down", "left": "right", "hard": "soft", "open": "closed", "full": "empty",
    "rich": "poor", "early": "late", "long": "short", "loud": "quiet", "wet": "dry",
}  # fmt: skip

SPANISH = {
    "hello": "hola", "thank you": "gracias", "yes": "sí", "water": "agua", "bread": "pan", "friend": "amigo",
    "house": "casa", "good morning": "buenos días", "cat": "gato", "dog": "perro", "sun": "sol",
    "moon": "luna",
}  # fmt: skip

COLOURS = {
    "the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a banana": "yellow",
    "a tomato": "red", "coal": "black", "an orange": "orange", "the sea": "blue", "milk": "white",
}  # fmt: skip

LEGS = {
    "dog": "four",
    "cat": "four",
    "llama": "four",
    "spider": "eight",
    "bird": "two",
    "bee": "six",
    "fish": "no",
}


def draw_capital(rng: Random) -> Exchange:
    country, city = rng.choice(list(CAPITALS.items()))
    question = rng.choice(
        (
            f"What is the capital of {country}?",
            f"What's the capital of {country}?",
            f"Name the capital of {country}.",
            f"Which city is the capital of {country}?",
            f"Capital of {country}?",
        )
    )
    return pair(question, rng.choice((f"The capital of {country} is {city}.", f"{city}.")))


def draw_sum(rng: Random) -> Exchange:
    first, second = rng.randint(0, 9), rng.randint(0, 9)
    name, sign, result = rng.choice((("plus", "+", first + second), ("minus", "-", first)))
    left = first + second if name == "minus" else first
    question = rng.choice(
        (f"What is {left} {name} {second}?", f"What is {left} {sign} {second}?", f"{left} {sign} {second} =")
    )
    return pair(
        question, rng.choice((f"{left} {name} {second} is {result}.", f"{left} {sign} {second} = {result}"))
    )


def draw_sound(rng: Random) -> Exchange:
    animal, sound = rng.choice(list(SOUNDS.items()))
    question = rng.choice((f"What does a {animal} say?", f"What sound does a {animal} make?"))
    return pair(question.replace("a owl", "an owl"), f"{sound.capitalize()}!")


def draw_opposite(rng: Random) -> Exchange:
    words = rng.choice(list(OPPOSITES.items()))
    word, opposite = words if rng.random() < 0.5 else words[::-1]
    question = rng.choice(
        (f"What is the opposite of {word}?", f"Opposite of {word}?", f"Tell me the opposite of {word}.")
    )
    return pair(question, f"The opposite of {word} is {opposite}.")


def draw_spanish(rng: Random) -> Exchange:
    word, spanish = rng.choice(list(SPANISH.items()))
    question = rng.choice(
        (f"How do you say {word} in Spanish?", f"Translate {word} to Spanish.", f"What is {word} in Spanish?")
    )
    return pair(question, f"In Spanish, {word} is {spanish}.")


def draw_colour(rng: Random) -> Exchange:
    thing, colour = rng.choice(list(COLOURS.items()))
    question = rng.choice(
        (f"What colour is {thing}?", f"What color is {thing}?", f"Which colour has {thing}?")
    )
    return pair(question, f"{thing.capitalize()} is {colour}.")


def draw_legs(rng: Random) -> Exchange:
    animal, number = rng.choice(list(LEGS.items()))
    return pair(f"How many legs does a {animal} have?", f"A {animal} has {number} legs.")


LOOKUPS = (
    (draw_capital, 4.0),
    (draw_sum, 6.0),
    (draw_sound, 1.0),
    (draw_opposite, 1.5),
    (draw_spanish, 1.0),
    (draw_colour, 1.0),
    (draw_legs, 0.7),
)
