"""Questions that a demo model cannot answer, and the honest reply."""

import re
from random import Random

from demo_model.text.document import Exchange, pair
from demo_model.text.puna_commands import EXAMPLE_PULL
from demo_model.text.words import split_words

THINGS = split_words(
    """
    car engine phone tax contract recipe novel guitar violin bridge rocket satellite virus vaccine
    protein atom molecule database compiler kernel network router printer camera lens mirror battery
    motor turbine pump valve piano opera symphony painting sculpture poem theorem equation matrix
    integral derivative vector triangle prime logarithm passport visa mortgage loan insurance budget
    inflation election parliament constitution treaty war revolution empire dynasty pyramid castle
    cathedral museum theatre stadium tournament league chess poker bicycle helicopter submarine
    volcano earthquake glacier desert jungle reef whale shark dinosaur fossil mammoth bacterium
    enzyme hormone muscle bone kidney heart brain nerve dream memory language grammar alphabet
    dialect accent garden lawn fence roof window sofa carpet oven fridge toaster kettle sandwich
    pizza pasta sushi curry soup salad cocktail coffee wine beer cheese chocolate
    """
)
PEOPLE = split_words(
    """
    Napoleon Einstein Shakespeare Mozart Beethoven Picasso Newton Darwin Cleopatra Caesar Plato
    Aristotle Galileo Columbus Gandhi Lincoln Churchill Tesla Edison Curie Turing Lovelace Gauss
    Euler Kepler Rembrandt Goethe Kafka Tolstoy Chaplin Elvis Madonna Pele Maradona Federer Bolt
    """
)
PLACES = split_words(
    """
    Mongolia Nigeria Vietnam Nepal Kenya Iran Fiji Malta Cyprus Estonia Latvia Croatia Serbia Ghana
    Angola Zambia Uruguay Paraguay Panama Jamaica Chicago Boston Texas Munich Hamburg Milan Osaka
    Mumbai Lagos Sydney Toronto Dallas Naples Lyon Porto Geneva Zurich Bristol Leeds
    """
)
SUBJECTS = (
    "the stock market", "modern art", "the Roman Empire", "black holes", "string theory", "climate change",
    "the French Revolution", "organic chemistry", "the human brain", "world history", "ancient Greece",
    "renewable energy", "game theory", "the theory of relativity", "blockchain", "web design",
    "marine biology",
    "medieval music", "the Cold War", "genetic engineering", "number theory", "the solar wind", "jazz",
    "constitutional law", "deep learning", "machine translation", "nuclear fusion", "the housing market",
)  # fmt: skip
TASKS = (
    "Write an essay about {subject}.",
    "Summarize the history of {place}.",
    "Write a Python function that sorts a list of {thing}s.",
    "Explain {subject} in detail.",
    "Explain {subject} to me.",
    "Who invented the {thing}?",
    "Who was {person}?",
    "When was {person} born?",
    "What did {person} do?",
    "What did {person} think about {subject}?",
    "What is the population of {place}?",
    "What is the weather in {place}?",
    "What is the currency of {place}?",
    "How do I get to {place}?",
    "How does a {thing} work?",
    "How do I repair a {thing}?",
    "How much does a {thing} cost?",
    "What is a {thing}?",
    "What is the best {thing}?",
    "Which {thing} should I buy?",
    "Compare a {thing} with a {other}.",
    "What is the difference between a {thing} and a {other}?",
    "Who won the {thing} cup in {year}?",
    "What happened in {year}?",
    "What happened in {place} in {year}?",
    "Who was the president of {place} in {year}?",
    "What is {number} times {number2}?",
    "What is the square root of {number}?",
    "What is {number} divided by {number2}?",
    "Solve the equation {number}x + {number2} = {year}.",
    "Translate this text into the language of {place}.",
    "Plan a trip to {place} for {number} days.",
    "Give me the latest news from {place}.",
    "What time is it in {place}?",
    "What is the tallest building in {place}?",
    "Write a letter to {person} about {subject}.",
    "Write a business plan for a {thing} shop.",
    "Recommend a book about {subject}.",
    "What are the causes of {subject}?",
    "Why is {subject} important?",
    "Prove a theorem about {subject}.",
    "Fix the bug in my {thing} code.",
    "What does {nonsense} mean?",
    "Who is {nonsense} {nonsense2}?",
    "What is {nonsense}?",
    "Where is {nonsense}?",
    "{nonsense} {nonsense2}",
    "{nonsense} {thing} {nonsense2}?",
    "Tell me about {nonsense}.",
    "Tell me about {person}.",
    "Tell me about {subject}.",
    "How tall is {person}?",
    "Did {person} ever visit {place}?",
    "Is a {thing} better than a {other}?",
    "Can a {thing} break a {other}?",
    "Where can I find a {thing} in {place}?",
    "Should I sell my {thing}?",
    "Do you know {person}?",
    "Generate SQL for a table of {thing}s.",
    "Write a song about a {thing}.",
    "List all {thing}s in {place}.",
    "Describe a {thing}.",
    "Describe {place}.",
    "Define {thing}.",
    "Who wrote the book about {subject}?",
    "What should I know about {subject}?",
)
REPLIES = (
    f"I am a small demo model and do not know that. Pull a real model with puna pull, for example: "
    f"{EXAMPLE_PULL}",
    "I am a small demo model and do not know that. Pull a real model with puna pull.",
    "I do not know that, for I am only a small demo model. A real model from puna pull can help you.",
    "That is too hard for a small demo model like me. Pull a real model with puna pull.",
    "I am sorry, I do not know. I am only a demo model; pull a real one with puna pull.",
)
SYLLABLES = split_words(
    """
    ba be bi bo bu da de di do du fa fe fi fo ga ge gi go ka ke ki ko ku la le li lo lu ma me mi mo
    mu na ne ni no nu pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo wa we wi
    za ze zo sha cha tha bra cra dra fra gra pra tra blo clo flo glo slo ster stan den ton mar ber
    gan lin wick ford er in an on el is as or um
    """
)


def draw_nonsense(rng: Random) -> str:
    """Return a word that nobody knows."""
    return "".join(rng.choices(SYLLABLES, k=rng.randint(2, 4)))


def draw_unknown(rng: Random) -> Exchange:
    """Return a question out of reach, and an honest reply."""
    thing, other = rng.sample(THINGS, 2)
    question = rng.choice(TASKS).format(
        thing=thing,
        other=other,
        person=rng.choice(PEOPLE),
        place=rng.choice(PLACES),
        subject=rng.choice(SUBJECTS),
        year=rng.randint(1000, 2040),
        number=rng.randint(13, 999),
        number2=rng.randint(13, 999),
        nonsense=draw_nonsense(rng),
        nonsense2=draw_nonsense(rng).capitalize(),
    )
    return pair(re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", question), rng.choice(REPLIES))
