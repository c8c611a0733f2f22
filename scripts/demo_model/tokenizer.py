"""A byte-level BPE tokenizer, trained on the generated text, in the form that GGUF calls "gpt2"."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from demo_model.markup import CONTROL_TOKENS


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says about a tokenizer."""

    tokens: list[str]
    merges: list[str]


class Tokenizer:
    """Text to token numbers and back; the control tokens are the first numbers."""

    def __init__(self, fast: FastTokenizer) -> None:
        self._fast = fast

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> "Tokenizer":
        """Learn the merges; every byte is a token of its own too, so any text has an encoding."""
        fast = FastTokenizer(BPE())
        fast.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
        fast.decoder = ByteLevelDecoder()
        trainer = BpeTrainer(
            vocab_size=size,
            special_tokens=list(CONTROL_TOKENS),
            initial_alphabet=ByteLevel.alphabet(),
            show_progress=False,
        )
        fast.train_from_iterator(texts, trainer)
        return cls(fast)

    @property
    def size(self) -> int:
        return self._fast.get_vocab_size()

    def find(self, token: str) -> int:
        """Return the number of a token that is known to exist."""
        number = self._fast.token_to_id(token)
        if number is None:
            raise ValueError(f"no token {token!r}")
        return number

    def encode(self, text: str) -> list[int]:
        return self._fast.encode(text).ids

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._fast.encode_batch(texts)]

    def decode(self, numbers: list[int]) -> str:
        return self._fast.decode(numbers, skip_special_tokens=False)

    def describe(self) -> Vocabulary:
        """Return tokens and merges, in order."""
        numbers = self._fast.get_vocab()
        model = json.loads(self._fast.to_str())["model"]
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        return Vocabulary(sorted(numbers, key=numbers.__getitem__), merges)
