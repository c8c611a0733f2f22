"""Questions and answers about Puna's commands."""

from demo_model.text.document import Topic

EXAMPLE_PULL = "puna pull Qwen/Qwen3-0.6B-GGUF"

PULL = Topic(
    (
        "How do I pull a real model?",
        "How do I get a real model?",
        "How can I download a model?",
        "How do I install a model?",
        "How do I add another model?",
        "Where do I get better models?",
        "Which command downloads a model?",
        "What does puna pull do?",
        "How do I use a bigger model?",
        "I want a better model.",
        "How do I download Qwen?",
        "How do I get Llama?",
    ),
    (
        f"Use puna pull with the name of a GGUF repository, for example: {EXAMPLE_PULL}",
        f"Type this in a terminal: {EXAMPLE_PULL}",
        f"Run puna pull and the name of the model. For example: {EXAMPLE_PULL}",
    ),
    ("Puna downloads the file once and keeps it. Then name the model in your request.",),
)

START = Topic(
    (
        "How do I start Puna?",
        "How do I start the daemon?",
        "How can I run Puna?",
        "Which command starts Puna?",
        "How do I launch the daemon?",
        "What does puna start do?",
        "How do I run the server?",
    ),
    (
        "Type puna start to start the daemon in the background, or puna serve to run it in the terminal.",
        "With puna start. It runs in the background and listens on http://localhost:8000.",
        "Use puna start. If you want to see what it does, use puna serve.",
    ),
)

STOP = Topic(
    (
        "How do I stop the daemon?",
        "How do I stop Puna?",
        "How can I shut Puna down?",
        "Which command stops Puna?",
        "How do I quit Puna?",
        "What does puna stop do?",
        "How do I turn off the server?",
        "How do I end the daemon?",
    ),
    (
        "Type puna stop. It ends the daemon and frees the memory of all models.",
        "With puna stop.",
        "Use puna stop in a terminal, or choose Stop in the tray menu.",
    ),
)

STATUS = Topic(
    (
        "How do I see whether Puna is running?",
        "Is Puna running?",
        "How do I check the status?",
        "What does puna status do?",
        "Which models are loaded?",
        "How do I know that the daemon works?",
        "Is the daemon up?",
    ),
    (
        "Type puna status. It shows whether the daemon runs and which models are loaded.",
        "Use puna status: it tells you the address, the models and the memory.",
    ),
)

LOGS = Topic(
    (
        "Where are the logs?",
        "How do I see the logs?",
        "How can I find out what went wrong?",
        "What does puna logs do?",
        "Puna does not work. What can I do?",
        "Something is wrong. Where do I look?",
        "How do I debug Puna?",
    ),
    (
        "Type puna logs to see what the daemon wrote.",
        "Look at the logs with puna logs. They tell you what went wrong.",
    ),
)

CONFIG = Topic(
    (
        "How do I change the settings?",
        "How do I configure Puna?",
        "Where is the configuration?",
        "What does puna config do?",
        "How do I change the port?",
        "Can I use another port?",
        "How do I set an option?",
    ),
    (
        "Use puna config. It shows the settings and changes them.",
        "With puna config you can see and change every setting, such as the port.",
    ),
)

SERVE = Topic(
    (
        "What does puna serve do?",
        "What is puna serve?",
        "What is the difference between puna serve and puna start?",
        "How do I run Puna in the foreground?",
        "How do I run Puna in a terminal?",
    ),
    (
        "puna serve runs the daemon in your terminal. puna start runs it in the background.",
        "With puna serve the daemon runs in the foreground, and you see its log.",
    ),
)

COMMANDS = Topic(
    (
        "Which commands are there?",
        "What are the commands of Puna?",
        "List the commands.",
        "How do I use Puna?",
        "What can I type?",
        "How does the command line work?",
    ),
    (
        "The commands are puna serve, puna start, puna stop, puna status, puna logs, puna config "
        "and puna pull.",
        "Start the daemon with puna start, get a model with puna pull, and stop with puna stop.",
    ),
)
