"""llguidance's view of a model's vocabulary."""

import llama_cpp
from llguidance import LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab

from puna.llama.vocabulary import Vocabulary


def build_tokenizer(vocabulary: Vocabulary) -> LLTokenizer:
    """Return the tokenizer for constraints; takes up to a second for a large vocabulary, so keep it."""
    handle = llama_cpp.llama_vocab_p(vocabulary.handle)
    return lltokenizer_from_vocab(handle, eos_token=sorted(vocabulary.end_tokens))
