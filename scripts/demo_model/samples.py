"""Sample outputs, drawn with torch from the trained network."""

from dataclasses import dataclass

import torch

from demo_model.markup import END_OF_TEXT, IM_END, open_assistant_turn, write_turn
from demo_model.network import Network
from demo_model.tokenizer import Tokenizer

LONGEST_SAMPLE = 250


@dataclass(frozen=True)
class Sample:
    """A prompt as a person reads it, what the network wrote, and whether it ended by itself."""

    prompt: str
    output: str
    is_finished: bool


def draw_samples(network: Network, tokenizer: Tokenizer) -> list[Sample]:
    """Return the three samples of the model card, written greedily."""
    return [
        _draw(network, tokenizer, "Once upon a time", "Once upon a time"),
        _draw(network, tokenizer, "What is Puna?", _lay_out_chat("", "What is Puna?")),
        _draw(
            network,
            tokenizer,
            "Hello, how are you?",
            _lay_out_chat("You are a helpful assistant.", "Hello, how are you?"),
        ),
    ]


def _lay_out_chat(system: str, question: str) -> str:
    system_turn = write_turn("system", system) if system else ""
    return system_turn + write_turn("user", question) + open_assistant_turn()


def _draw(network: Network, tokenizer: Tokenizer, title: str, prompt: str) -> Sample:
    ends = {tokenizer.find(END_OF_TEXT), tokenizer.find(IM_END)}
    prompt_tokens = [tokenizer.find(END_OF_TEXT), *tokenizer.encode(prompt)]
    written: list[int] = []
    with torch.no_grad():
        while len(written) < LONGEST_SAMPLE:
            logits = network(torch.tensor([prompt_tokens + written]))
            token = int(logits[0, -1].argmax())
            if token in ends:
                return Sample(title, tokenizer.decode(written), True)
            written.append(token)
    return Sample(title, tokenizer.decode(written), False)
