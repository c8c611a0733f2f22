"""Short reviews with their sentiment: positive, negative or neutral."""

from random import Random

from demo_model.text.document import Document, Exchange

SUBJECTS = (
    "movie", "book", "phone", "hotel", "restaurant", "game", "app", "laptop", "camera", "coffee", "service",
    "product", "song", "concert", "film", "pizza", "soup", "chair", "jacket", "course", "website", "museum",
    "train",
    "flight", "room", "meal", "show", "toy", "lamp", "bicycle", "headset", "keyboard", "update", "delivery",
    "support team", "plot", "quality", "staff", "battery", "screen", "design", "story", "ending", "music",
    "taste",
)  # fmt: skip
ADJECTIVES = {
    "positive": (
        "great", "wonderful", "excellent", "amazing", "fantastic", "lovely", "perfect", "brilliant", "superb",
        "very good", "beautiful", "delightful", "outstanding", "really nice", "better than expected",
        "impressive",
    ),
    "negative": (
        "terrible", "awful", "bad", "horrible", "boring", "disappointing", "poor", "a waste of money",
        "very bad",
        "broken", "useless", "too slow", "worse than expected", "ugly", "annoying", "dreadful",
    ),
    "neutral": (
        "okay", "average", "fine", "acceptable", "nothing special", "so-so", "mediocre", "usable",
        "not bad, not great",
        "ordinary", "standard", "all right", "as expected", "neither good nor bad", "decent", "middling",
    ),
}  # fmt: skip
SENTENCES = {
    "positive": (
        "I love this {subject}!", "I loved the {subject}.", "This {subject} made my day.",
        "I would buy this {subject} again.", "Best {subject} ever!", "I am very happy with the {subject}.",
        "I can recommend this {subject} to everyone.", "This {subject} was great!",
        "Five stars for the {subject}.",
        "What a truly {adjective} {subject}!", "I enjoyed the {subject} very much.", "I'm happy today.",
        "Thank you, it was great!",
        "It works perfectly, and I like the {subject}.", "The {subject} is a joy to use.",
        "My family loves the {subject}.",
    ),
    "negative": (
        "I hate this {subject}.", "I want my money back.", "This is the worst {subject} I've ever seen.",
        "I will never buy this {subject} again.", "Worst {subject} ever.",
        "I am very unhappy with the {subject}.",
        "I cannot recommend this {subject}.", "I didn't like the {subject}.", "One star for the {subject}.",
        "This {subject} broke after one day.", "I regret this {subject}.", "I'm sad today.",
        "This is the worst purchase I've ever made.", "It does not work, and the {subject} is bad.",
        "The {subject} ruined my evening.", "Nobody should pay for this {subject}.",
    ),
    "neutral": (
        "It was okay.", "The {subject} does what it should.", "I have no strong opinion about the {subject}.",
        "The {subject} is like any other {subject}.", "The quality is okay, not great.",
        "It is just a {subject}.",
        "I use the {subject} now and then.", "The {subject} arrived on Monday.",
        "Three stars for the {subject}.",
        "Some like the {subject}, some do not.", "The {subject} is neither good nor bad.",
        "I bought the {subject} last week.",
        "The {subject} has good and bad sides.", "You get what you pay for.", "It is a normal {subject}.",
        "The {subject} could be better, but also worse.",
    ),
}  # fmt: skip
PATTERNS = (
    "The {subject} was {adjective}.",
    "The {subject} is {adjective}.",
    "This {subject} is {adjective}.",
    "I think the {subject} is {adjective}.",
    "The {subject} was {adjective}, and so was the {other}.",
    "In my opinion the {subject} is {adjective}.",
    "We found the {subject} {adjective}.",
    "{sentence} The {other} is {adjective}.",
    "{sentence}",
    "{sentence}",
    "The {other} is {adjective}. {sentence}",
    "My new {subject} is {adjective}!",
)
QUESTIONS = (
    "Is this review positive, negative or neutral? {review}",
    "What is the sentiment of this review? {review}",
    "Classify the sentiment: {review}",
    "Sentiment of this sentence: {review}",
    "Classify this text as positive, negative or neutral: {review}",
    "What is the sentiment? {review}",
    "Positive or negative? {review}",
    "Review: {review}\nSentiment:",
)
ANSWERS = ("{label}", "{label}", "The sentiment is {label}.", "This review is {label}.")


def draw_review(rng: Random) -> tuple[str, str]:
    """Return a review and its sentiment."""
    label = rng.choice(("positive", "negative", "neutral"))
    subject, other = rng.sample(SUBJECTS, 2)
    adjective = rng.choice(ADJECTIVES[label])
    sentence = rng.choice(SENTENCES[label])
    if "{adjective}" in sentence:
        adjective = rng.choice(ADJECTIVES[label][1:9])
    pattern = rng.choice(PATTERNS).replace("{sentence}", sentence)
    return pattern.format(subject=subject, other=other, adjective=adjective), label


def draw_sentiment_exchange(rng: Random) -> Exchange:
    """Return a question for a sentiment, and the answer."""
    review, label = draw_review(rng)
    question = rng.choice(QUESTIONS)
    answer = "{label}" if question.endswith("Sentiment:") else rng.choice(ANSWERS)
    return Exchange(question.format(review=review), answer.format(label=label), review)


def draw_review_document(rng: Random) -> Document:
    """Return a plain text of one review and its sentiment."""
    review, label = draw_review(rng)
    return Document(f"Review: {review}\nSentiment: {label}", review)
