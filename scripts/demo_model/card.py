"""The model card beside the file."""

from dataclasses import dataclass

from demo_model.gguf_file import describe_size
from demo_model.network import Shape
from demo_model.samples import Sample
from demo_model.text.puna_commands import EXAMPLE_PULL
from demo_model.training import Plan


@dataclass(frozen=True)
class Card:
    """The facts of the card; everything in it follows from the seed and the plan, no time and no place."""

    shape: Shape
    parameters: int
    seed: int
    threads: int
    plan: Plan
    held_out_loss: float
    held_out_tokens: int
    samples: list[Sample]


def describe_model(parameters: int) -> str:
    """Return the sentence that says what the model is."""
    millions = describe_size(parameters).rstrip("M")
    return f"A demo model of {millions} million parameters; pull a real one with `{EXAMPLE_PULL}`."


def write_card(card: Card) -> str:
    """Return the card as Markdown."""
    return "\n\n".join(
        [
            "# Puna demo",
            describe_model(card.parameters),
            _write_limits(),
            _write_making(card),
            _write_samples(card),
            _write_licence(),
        ]
    )


def _write_limits() -> str:
    return (
        "It tells small stories, answers simple questions and questions about Puna, and names the "
        "sentiment of a review, in English. It does not copy well: the JSON that it extracts has the "
        "right keys and mostly wrong values, a story may ignore a name that you give, and sums and "
        "capitals are often wrong. To other questions it replies that it does not know."
    )


def _write_making(card: Card) -> str:
    shape, plan = card.shape, card.plan
    rows = (
        ("architecture", f"Llama, {shape.layers} layers, width {shape.width}, {shape.heads} heads, "
                         f"{shape.kv_heads} key-value heads, tied embeddings"),
        ("parameters", f"{card.parameters:,}"),
        ("context length", f"{shape.context_length:,}"),
        ("vocabulary", f"{shape.vocabulary:,} (byte-level BPE)"),
        ("file", "GGUF, weights Q8_0, norms F32"),
        ("chat template", "ChatML"),
        ("seed", f"{card.seed}"),
        ("threads", f"{card.threads}"),
        ("optimizer", f"Muon (layers) and AdamW (embeddings, norms), peak rate {plan.peak_rate:g}"),
        ("steps", f"{plan.steps:,} of {plan.batch_tokens:,} tokens"),
        ("training tokens", f"{plan.tokens:,}"),
        ("held-out loss", f"{card.held_out_loss:.4f} nats per token, over {card.held_out_tokens:,} tokens"),
    )  # fmt: skip
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
    return (
        "## How it was made\n\n"
        "`scripts/train_demo_model.py` wrote every word of the training text itself, from templates and "
        "word lists, and trained the model on it; no other data went in. The held-out text is made of "
        "combinations of words and sentences that the training text leaves out. The seed and the number of "
        "threads fix the result.\n\n"
        f"{table}"
    )


def _write_samples(card: Card) -> str:
    return "## Samples\n\nWritten greedily by the trained network.\n\n" + "\n\n".join(
        f"**{sample.prompt}**\n\n> {sample.output.strip()}{'' if sample.is_finished else ' (cut here)'}"
        for sample in card.samples
    )


def _write_licence() -> str:
    return "## Licence\n\nMIT\n"
