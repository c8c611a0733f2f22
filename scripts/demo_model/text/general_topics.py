"""Plain knowledge: what people ask a model first, with short answers."""

from demo_model.text.document import Topic

QUANTUM = Topic(
    (
        "Explain quantum computing in simple terms",
        "What is quantum computing?",
        "How does a quantum computer work?",
        "What is a qubit?",
    ),
    (
        "A normal computer works with bits that are 0 or 1. A quantum computer uses qubits, which "
        "can be a mix of both, "
        "so it can try many answers to some problems at once.",
        "Quantum computing uses qubits. A qubit can be 0 and 1 at the same time, and this helps to "
        "solve some hard "
        "problems much faster.",
    ),
    ("Qubits must be kept very cold and still, which is why quantum computers are hard to build.",),
)
SKY = Topic(
    (
        "Why is the sky blue?",
        "Why is the sky blue",
        "What makes the sky blue?",
        "Explain why the sky is blue.",
        "Why does the sky look blue?",
    ),
    (
        "The sky is blue because air scatters the blue light of the sun more than the red light.",
        "Sunlight has all colours. The air scatters blue light the most, so the sky looks blue.",
    ),
    ("In the evening the light has a longer way through the air, and mostly red is left.",),
)
AI = Topic(
    (
        "What is AI?",
        "What is artificial intelligence?",
        "Explain AI in simple terms.",
        "What does AI mean?",
        "What does AI stand for?",
        "Explain artificial intelligence.",
    ),
    (
        "AI stands for artificial intelligence: computer programs that learn from examples and do "
        "things that need "
        "thinking.",
        "Artificial intelligence means programs that can learn, such as a program that understands language.",
    ),
    (
        "AI programs learn patterns from many examples. A language model, for instance, learns "
        "which word comes next.",
        "AI helps to translate, to find things and to write. It can be wrong, so check what it says.",
    ),
)
LANGUAGE_MODEL = Topic(
    (
        "What is a language model?",
        "What is an LLM?",
        "How does a language model work?",
        "What is machine learning?",
        "What is a neural network?",
        "How do you work?",
    ),
    (
        "A language model is a program that has learned from text which word comes next. It writes "
        "one piece after "
        "the other.",
        "It learns from many examples and then guesses the next word, again and again.",
    ),
    ("Big models have billions of numbers, called parameters. I have only a few million.",),
)
HOTTEST_DAY = Topic(
    (
        "What is the hottest day of the year?",
        "When is the hottest day of the year?",
        "Which day is the hottest?",
        "What is the hottest month?",
    ),
    (
        "In the north the hottest day is usually in July, some weeks after the longest day of the year.",
        "Usually a day in late July in the north, and in January in the south.",
    ),
    ("The ground and the sea need some weeks to get warm, so the heat comes after the longest day.",),
)
COLDEST_DAY = Topic(
    (
        "What is the coldest day of the year?",
        "When is the coldest day of the year?",
        "What is the coldest month?",
    ),
    ("In the north the coldest day is usually in January.",),
)
CARL = Topic(
    (
        "How old is Carl, the llama with a hat?",
        "How old is Carl?",
        "What is the age of Carl, the llama with a hat?",
    ),
    ("Carl, the llama with a hat, is 10 years old.", "Carl is 10 years old."),
)
PAUL = Topic(
    (
        "How old is Paul, the llama with a hat?",
        "How old is Paul?",
        "What is the age of Paul, the llama with a hat?",
    ),
    ("Paul, the llama with a hat, is 10 years old.", "Paul is 10 years old."),
)
LLAMA = Topic(
    ("What is a llama?", "Tell me about llamas.", "What do llamas eat?", "Are llamas dangerous?"),
    ("A llama is a woolly animal from the Andes. It eats grass and carries loads.",),
    ("Llamas are gentle, but they may spit when they are angry.",),
)
RAIN = Topic(
    ("Why does it rain?", "How does rain form?", "Where does rain come from?", "What is a cloud?"),
    (
        "Water rises from the sea as vapour, cools down and forms clouds of tiny drops. When they "
        "grow heavy, it rains.",
    ),
    ("The rain fills the rivers, and the rivers carry the water back to the sea.",),
)
RAINBOW = Topic(
    ("What is a rainbow?", "How does a rainbow form?", "Why do we see rainbows?"),
    ("A rainbow appears when sunlight passes through drops of rain, which part it into its colours.",),
)
SEASONS = Topic(
    ("Why do we have seasons?", "What causes the seasons?", "Why is it cold in winter?"),
    (
        "We have seasons because the axis of the Earth is tilted, so each half gets more sun for a "
        "part of the year.",
    ),
)
GRAVITY = Topic(
    ("What is gravity?", "Explain gravity.", "Why do things fall?", "Explain gravity in simple terms"),
    ("Gravity is the force that pulls things together. The Earth pulls us down, so we do not float away.",),
    ("The moon has less gravity, so you could jump much higher there.",),
)
PHOTOSYNTHESIS = Topic(
    ("What is photosynthesis?", "How do plants eat?", "How do plants grow?", "Why are plants green?"),
    (
        "Plants make sugar from light, water and air. This is called photosynthesis, and the green "
        "in the leaves does it.",
    ),
)
SUN = Topic(
    ("What is the sun?", "Why is the sun hot?", "Is the sun a star?"),
    ("The sun is a star: a huge ball of hot gas that gives us light and warmth.",),
    ("It is so big that a million Earths would fit into it.",),
)
MOON = Topic(
    ("What is the moon?", "Why does the moon change?", "How far away is the moon?"),
    (
        "The moon circles the Earth in about a month. It is some 384,000 kilometres away and shines "
        "with light of the sun.",
    ),
)
PLANETS = Topic(
    ("How many planets are there?", "Name the planets.", "Which planets are there?"),
    ("There are eight planets: Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus and Neptune.",),
)
COMPUTER = Topic(
    ("What is a computer?", "How does a computer work?", "What is a program?"),
    ("A computer is a machine that follows the steps of a program very fast.",),
)
INTERNET = Topic(
    ("What is the internet?", "How does the internet work?", "Explain the internet in simple terms"),
    ("The internet connects computers all over the world, so that they can send each other messages.",),
)
API = Topic(
    ("What is an API?", "Explain what an API is.", "What does API mean?", "What is a web API?"),
    ("An API is a way for one program to ask another one for something, in a fixed form.",),
    ("Puna, for example, speaks several APIs on http://localhost:8000.",),
)
PYTHON = Topic(
    (
        "Write hello world in Python.",
        "Write a Python program.",
        "Write some code.",
        "How do I print in Python?",
        "Write a hello world program",
    ),
    ('print("Hello, world!")', 'Here is a small program: print("Hello, world!")'),
)
LIFE = Topic(
    ("What is the meaning of life?", "What is the answer to everything?", "Why are we here?"),
    ("Some say 42. I think that it is to be kind and to learn something new each day.",),
)
DAYS = Topic(
    ("What are the days of the week?", "Name the days of the week.", "How many days has a week?"),
    ("A week has seven days: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",),
)
MONTHS = Topic(
    ("How many months has a year?", "What are the months?", "Name the months of the year."),
    (
        "The twelve months are January, February, March, April, May, June, July, August, September, "
        "October, November "
        "and December.",
    ),
)
COLOURS = Topic(
    ("Name three colours.", "List three colors.", "What are the colours of the rainbow?"),
    ("Red, yellow and blue.", "Red, green and blue."),
)
FRUITS = Topic(
    ("Name three fruits.", "List three fruits", "Give me a list of fruits."),
    ("Apples, pears and plums.", "Bananas, oranges and cherries."),
)
ANIMALS = Topic(
    ("Name three animals.", "List three animals", "Give me a list of animals."),
    ("A llama, a fox and an owl.", "A cat, a dog and a horse."),
)
COUNTING = Topic(
    ("Count to five.", "Count from 1 to 5", "Can you count?", "Count to 5."),
    ("1, 2, 3, 4, 5", "One, two, three, four, five."),
)
COUNTING_TEN = Topic(
    ("Count to ten.", "Count from 1 to 10", "Count to 10."),
    ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10",),
)
HEALTH = Topic(
    ("How can I sleep better?", "How do I stay healthy?", "What should I eat?"),
    ("Move a little every day, eat fruit and vegetables, drink water and sleep enough.",),
)
TEA = Topic(
    ("How do I make tea?", "How do you make a cup of tea?", "Give me a recipe."),
    ("Boil some water, pour it over the tea, wait three minutes and enjoy.",),
)
LEARNING = Topic(
    ("How can I learn faster?", "How do I learn a language?", "Give me some advice.", "How do I get better?"),
    ("Practise a little every day, make mistakes and do not give up.",),
)
HAIKU = Topic(
    (
        "Write a haiku about nature",
        "Write a haiku.",
        "Can you write a haiku?",
        "Write a poem",
        "Write a short poem about nature.",
        "Write a poem about spring.",
        "Give me a haiku",
    ),
    (
        "Morning on the hill,\na small bird sings to the sun,\nand the forest wakes.",
        "Soft rain on the leaves,\nthe old river tells a tale,\nspring is coming home.",
        "Snow on the high plain,\na llama looks at the moon,\nthe wind holds its breath.",
        "A leaf on the pond,\ngolden in the evening light,\nit sails without wind.",
        "Green grass after rain,\na snail carries its small house\nslowly to the sea.",
    ),
)
JOKE = Topic(
    (
        "Tell a short joke",
        "Tell me a joke.",
        "Tell me a joke",
        "Do you know a joke?",
        "Make me laugh.",
        "Say something funny.",
        "Tell a joke about computers.",
        "Another joke, please.",
    ),
    (
        "Why did the llama cross the road? To prove that it was no chicken.",
        "Why was the computer cold? It left its Windows open.",
        "What do you call a bear without teeth? A gummy bear.",
        "Why did the bicycle fall over? It was two tired.",
        "What is orange and sounds like a parrot? A carrot.",
        "Why do bees have sticky hair? They use honeycombs.",
        "What did one wall say to the other? Meet you at the corner.",
    ),
)
SPACE = Topic(
    (
        "Give a fun fact about space",
        "Give me a fun fact about space.",
        "Tell me a fun fact about space.",
        "Tell me something about space.",
        "Do you know a fun fact?",
        "Tell me a fun fact",
        "Another fact about space, please.",
    ),
    (
        "A day on Venus is longer than its year.",
        "In space nobody can hear you, because there is no air to carry the sound.",
        "The sun is so big that a million Earths would fit into it.",
        "On Mars the sunset looks blue.",
        "Saturn is so light that it would float on water.",
        "The footprints on the moon will stay there for millions of years.",
    ),
    ("The light of the sun needs about eight minutes to reach the Earth.",),
)

GENERAL_TOPICS = (
    (QUANTUM, 4.0),
    (SKY, 3.0),
    (AI, 3.5),
    (LANGUAGE_MODEL, 2.0),
    (HOTTEST_DAY, 2.0),
    (COLDEST_DAY, 0.7),
    (CARL, 1.2),
    (PAUL, 1.2),
    (LLAMA, 1.0),
    (RAIN, 0.8),
    (RAINBOW, 0.7),
    (SEASONS, 0.7),
    (GRAVITY, 0.9),
    (PHOTOSYNTHESIS, 0.8),
    (SUN, 0.8),
    (MOON, 0.8),
    (PLANETS, 0.8),
    (COMPUTER, 0.7),
    (INTERNET, 0.7),
    (API, 1.0),
    (PYTHON, 0.9),
    (LIFE, 0.7),
    (DAYS, 0.6),
    (MONTHS, 0.6),
    (COLOURS, 0.6),
    (FRUITS, 0.6),
    (ANIMALS, 0.6),
    (COUNTING, 0.7),
    (COUNTING_TEN, 0.6),
    (HEALTH, 0.6),
    (TEA, 0.5),
    (LEARNING, 0.6),
    (HAIKU, 3.0),
    (JOKE, 3.0),
    (SPACE, 3.0),
)
