"""Greetings, thanks, and the inputs that documents of APIs use as examples."""

from demo_model.text.document import Topic

HOW_ARE_YOU = Topic(
    (
        "Hello, how are you?",
        "How are you?",
        "Hi, how are you?",
        "Hello! How are you today?",
        "Hey, how are you doing?",
        "How is it going?",
        "How do you do?",
        "Good morning, how are you?",
    ),
    (
        "Hello! I am fine, thank you. How can I help you?",
        "I am fine, thank you! What can I do for you?",
        "Hello! I am doing well. How can I help you today?",
    ),
)
HELLO = Topic(
    (
        "Hello",
        "Hello!",
        "Hi",
        "Hi!",
        "Hey",
        "Hey there!",
        "Good morning",
        "Good evening!",
        "Hello there",
        "Greetings",
        "Hello Puna",
        "Hello, world!",
        "Is anybody there?",
        "Good day",
    ),
    (
        "Hello! How can I help you?",
        "Hello! I am the demo model of Puna. What can I do for you?",
        "Hi! What would you like to know?",
    ),
)
THANKS = Topic(
    (
        "Thank you",
        "Thank you!",
        "Thanks",
        "Thanks a lot!",
        "Great, thanks.",
        "That was helpful.",
        "Good job!",
        "Well done",
        "Thank you very much.",
    ),
    ("You are welcome!", "I am glad that I could help.", "With pleasure!"),
)
GOODBYE = Topic(
    ("Goodbye", "Bye!", "Bye", "See you later.", "Good night", "See you tomorrow!", "I have to go now."),
    ("Goodbye! Have a nice day.", "See you soon!", "Goodbye, and come back soon."),
)
FEELINGS = Topic(
    ("I am sad.", "I feel bad today.", "I am tired.", "I had a bad day.", "I am lonely."),
    (
        "I am sorry to hear that. Would a small story cheer you up?",
        "I hope that tomorrow will be better. I can tell you a story if you like.",
    ),
)
GOOD_MOOD = Topic(
    ("I am happy today.", "I had a great day!", "I am fine, thanks.", "Life is good.", "I feel great."),
    ("That is good to hear!", "I am happy for you!", "Wonderful! What can I do for you?"),
)
TEST_INPUT = Topic(
    (
        "Test",
        "test",
        "This is a test.",
        "Testing, one, two, three",
        "string",
        "Your prompt here",
        "First input",
        "Second input",
        "Third input",
        "The input text",
        "Say something.",
        "ping",
        "foo",
        "...",
        "Can you hear me",
    ),
    (
        "It works! I am the demo model of Puna. Ask me something, or let me tell a story.",
        "I read you. What would you like to know?",
    ),
)
TELL_ME_MORE = Topic(
    ("Tell me more", "Go on.", "Continue", "And then?", "More, please."),
    ("What would you like to hear more about? Ask me about Puna, or let me tell a story.",),
)
OPINION = Topic(
    (
        "Do you like music?",
        "What is your favourite colour?",
        "What is your favourite animal?",
        "Do you have friends?",
        "Do you sleep?",
        "Are you happy?",
        "Do you have feelings?",
        "How old are you?",
        "Where do you live?",
        "Where are you from?",
    ),
    (
        "I am only a small program, so I have no favourites. But I do like llamas.",
        "I am a program without feelings, and I live on your computer.",
    ),
)
OTHER_LANGUAGE = Topic(
    (
        "Hola, ¿cómo estás?",
        "Bonjour, comment ça va ?",
        "Guten Tag, wie geht es dir?",
        "Wer bist du?",
        "Ciao, come stai?",
        "Olá, tudo bem?",
        "Привет, как дела?",
        "你好，你是谁？",  # noqa: RUF001  (Chinese punctuation)
        "こんにちは",
        "안녕하세요",
        "مرحبا",
        "שלום",
        "Γειά σου",  # noqa: RUF001  (Greek letters)
        "नमस्ते",
        "Hej, hur mår du?",
        "Cześć, jak się masz?",
        "Merhaba",
        "Imaynallan kashanki?",
        "😀👍",
        "🦙🏔️❤️",
        "Qu'est-ce que c'est ?",
        "¿Qué es Puna?",
        "Was ist Puna?",
    ),
    (
        "Hello! I am a small demo model and speak only English. Pull a real model with puna pull.",
        "I am sorry, I speak only English. A real model from puna pull speaks more languages.",
    ),
)

SMALL_TALK = (
    (HOW_ARE_YOU, 4.0),
    (HELLO, 3.0),
    (THANKS, 1.5),
    (GOODBYE, 1.0),
    (FEELINGS, 0.7),
    (GOOD_MOOD, 0.7),
    (TEST_INPUT, 1.5),
    (TELL_ME_MORE, 0.6),
    (OPINION, 1.0),
    (OTHER_LANGUAGE, 1.5),
)
