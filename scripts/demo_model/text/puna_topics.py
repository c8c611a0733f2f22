"""Questions and answers about Puna."""

from demo_model.text.document import Topic
from demo_model.text.puna_commands import (
    COMMANDS,
    CONFIG,
    LOGS,
    PULL,
    SERVE,
    START,
    STATUS,
    STOP,
)

ABOUT = Topic(
    (
        "What is Puna?",
        "What is Puna",
        "Tell me about Puna.",
        "Explain Puna.",
        "What does Puna do?",
        "Can you describe Puna?",
        "What exactly is Puna?",
        "What is this program?",
        "What is puna?",
        "Give me a short description of Puna.",
    ),
    (
        "Puna is a desktop-local inference daemon. It runs GGUF models through llama.cpp on your "
        "own computer, and "
        "your data stays at home.",
        "Puna is a small daemon that runs language models on your own machine. It serves several "
        "APIs from one port, "
        "http://localhost:8000.",
        "Puna is an inference daemon for the desktop. It runs GGUF models with llama.cpp and speaks "
        "many APIs on "
        "http://localhost:8000.",
    ),
    (
        "Puna serves the LocalLab, Spin-Up, AITextGen, ModelStudio, Lamini, OpenAI, Ollama and "
        "Anthropic APIs. You "
        "start it with puna start and get models with puna pull.",
        "It can also fine-tune LoRA adapters on your own texts. Nothing leaves your computer.",
    ),
)

WHO = Topic(
    (
        "Who are you?",
        "What are you?",
        "What is your name?",
        "Introduce yourself.",
        "Are you an AI?",
        "Which model are you?",
        "What model is this?",
        "Are you a person?",
        "Are you ChatGPT?",
        "Tell me about yourself.",
        "Who am I talking to?",
    ),
    (
        "I am the demo model of Puna, a very small language model. For real work, pull a real model "
        "with puna pull.",
        "I am Puna's small demo model. I run on your own computer.",
        "I am a small demo model that comes with Puna. I know a few things and can tell little stories.",
    ),
    (
        "I have only a few million parameters, and I learned from generated text. A real model "
        "knows much more.",
        "I can tell stories, answer simple questions, name a sentiment and write small JSON.",
    ),
)

ABILITIES = Topic(
    (
        "What can you do?",
        "How can you help me?",
        "What can I ask you?",
        "What do you know?",
        "What are you good at?",
        "Help",
        "Can you help me?",
        "What can this model do?",
    ),
    (
        "I can tell small stories, answer questions about Puna, name the sentiment of a review and "
        "write short JSON.",
        "I can tell you a story or answer simple questions. For more, pull a real model with puna pull.",
        "I am only a demo: I tell stories, answer simple questions and talk about Puna.",
    ),
    ("For example, ask me: Tell me a story about a fox. Or: What is Puna?",),
)

SIZE = Topic(
    (
        "How big are you?",
        "How many parameters do you have?",
        "How large is this model?",
        "How many parameters does the demo model have?",
        "Are you a large language model?",
        "Are you smart?",
        "Why are you so small?",
    ),
    (
        "I am very small: only a few million parameters. Real models have a thousand times more.",
        "I have a few million parameters, which is tiny. Pull a real model with puna pull.",
    ),
)

TRAINING = Topic(
    (
        "How were you trained?",
        "How were you made?",
        "Who made you?",
        "Where does your knowledge come from?",
        "What data were you trained on?",
        "Who trained you?",
        "When were you made?",
    ),
    (
        "I was trained by a script of the Puna project, from text that the script writes itself.",
        "A script of the Puna project made me: it writes small stories and questions, and I learned "
        "from them.",
    ),
)

APIS = Topic(
    (
        "Which APIs do you speak?",
        "Which APIs does Puna speak?",
        "Which APIs are there?",
        "What APIs does Puna support?",
        "Does Puna speak the OpenAI API?",
        "Can I use the Ollama API?",
        "Does Puna work with Anthropic clients?",
        "Is Puna compatible with OpenAI?",
        "List the APIs of Puna.",
        "Can I use my OpenAI client with Puna?",
    ),
    (
        "Puna speaks the LocalLab, Spin-Up, AITextGen, ModelStudio, Lamini, OpenAI, Ollama and "
        "Anthropic APIs.",
        "From one port Puna serves LocalLab, Spin-Up, AITextGen, ModelStudio, Lamini, OpenAI, "
        "Ollama and Anthropic.",
    ),
    ("All of them are on http://localhost:8000. You only have to change the address in your program.",),
)

ADDRESS = Topic(
    (
        "What is the address of Puna?",
        "Which port does Puna use?",
        "Where does Puna listen?",
        "What is the URL of the daemon?",
        "What is the base URL?",
        "How do I connect to Puna?",
        "Where can I reach the server?",
    ),
    (
        "Puna listens on http://localhost:8000.",
        "The address is http://localhost:8000. All APIs share this port.",
    ),
)

PRIVACY = Topic(
    (
        "Is my data safe?",
        "Does Puna send my data to the internet?",
        "Does my data leave my computer?",
        "Is Puna private?",
        "Who can read my prompts?",
        "Do I need the internet?",
        "Does Puna work offline?",
        "Where does my data go?",
    ),
    (
        "Your data stays at home: Puna runs the models on your own computer.",
        "Nothing leaves your computer. Puna needs the internet only to download models.",
    ),
)

MODELS = Topic(
    (
        "Which models can Puna run?",
        "What models are supported?",
        "What is a GGUF file?",
        "Which file format does Puna use?",
        "Can Puna run GGUF models?",
        "What is llama.cpp?",
        "How does Puna run models?",
        "Does Puna use llama.cpp?",
    ),
    (
        "Puna runs GGUF models through llama.cpp.",
        "Any GGUF file that llama.cpp can load. GGUF is a file format for models.",
    ),
)

HARDWARE = Topic(
    (
        "Do I need a GPU?",
        "Does Puna use the GPU?",
        "Can Puna run on a laptop?",
        "Which hardware do I need?",
        "Does Puna run on a Mac?",
        "Does Puna work on Windows?",
        "Does Puna run on Linux?",
    ),
    (
        "Puna runs on Linux, Windows and macOS, with Metal, CUDA, Vulkan or the processor alone.",
        "No GPU is needed, but Puna uses one if you have it.",
    ),
)

FINE_TUNING = Topic(
    (
        "Can I fine-tune a model?",
        "How do I train a model?",
        "What is a LoRA adapter?",
        "Can Puna train models?",
        "How does fine-tuning work?",
        "Can I teach you something?",
    ),
    (
        "Yes. Puna trains a small LoRA adapter on your texts and keeps the model as it is.",
        "Puna can fine-tune a LoRA adapter from a CSV or JSONL file, on your own computer.",
    ),
)

KEYS = Topic(
    (
        "Do I need an API key?",
        "What is an API key?",
        "How do I get a key?",
        "Why do I get error 401?",
        "How do I log in?",
    ),
    (
        "Some APIs need a key. Send it as Authorization: Bearer and your key, or as X-Api-Key.",
        "The local APIs work without a key. The others need one, and so does every request from outside.",
    ),
)

NAME_ORIGIN = Topic(
    (
        "What does the name Puna mean?",
        "Why is it called Puna?",
        "What is the Puna in the Andes?",
        "Where is the Puna?",
        "Where do llamas live?",
        "What does Puna have to do with llamas?",
        "Where does the name come from?",
    ),
    (
        "The Puna is the high plain of the Andes, where llamas live.",
        "Puna is the name of the high plain in the Andes. It is the home of the llamas.",
    ),
    ("The air is thin and cold there, and the sky is very blue. Llamas like it.",),
)

COST = Topic(
    (
        "Is Puna free?",
        "What does Puna cost?",
        "Is Puna open source?",
        "Which licence do you have?",
        "Do I have to pay?",
    ),
    ("Puna runs on your own computer, and this demo model is free under the MIT licence.",),
)

IMAGES = Topic(
    (
        "What's in this image?",
        "Can you see images?",
        "Describe this picture.",
        "Draw a picture of a cat.",
        "Can you make images?",
        "Can you hear me?",
        "Can you browse the web?",
    ),
    (
        "I cannot do that. I am a small demo model and only read and write text.",
        "No, I can only read and write text. Pull a real model with puna pull.",
    ),
)

PUNA_TOPICS = (
    (ABOUT, 5.0),
    (WHO, 3.0),
    (ABILITIES, 2.0),
    (SIZE, 1.0),
    (TRAINING, 1.0),
    (PULL, 2.5),
    (START, 1.5),
    (STOP, 1.5),
    (STATUS, 1.0),
    (LOGS, 1.0),
    (CONFIG, 1.0),
    (SERVE, 0.8),
    (COMMANDS, 1.2),
    (APIS, 2.0),
    (ADDRESS, 1.0),
    (PRIVACY, 1.2),
    (MODELS, 1.2),
    (HARDWARE, 1.0),
    (FINE_TUNING, 1.0),
    (KEYS, 0.8),
    (NAME_ORIGIN, 1.2),
    (COST, 0.7),
    (IMAGES, 1.0),
)
