"""The tokens that a model wants around its input."""

import llama_cpp
from msgspec import Struct

from puna.llama.vocabulary import Vocabulary


class SpecialTokens(Struct, frozen=True):
    """Those at the beginning, at the end and between two texts; None where the vocabulary has no such token."""

    bos: int | None
    eos: int | None
    sep: int | None
    adds_bos: bool = False
    """Whether the model wants it."""
    adds_eos: bool = False
    adds_sep: bool = False


def read_special_tokens(vocabulary: Vocabulary) -> SpecialTokens:
    """Return what a vocabulary says of them."""
    handle = vocabulary.handle
    return SpecialTokens(
        _known(llama_cpp.llama_vocab_bos(handle)),
        _known(llama_cpp.llama_vocab_eos(handle)),
        _known(llama_cpp.llama_vocab_sep(handle)),
        adds_bos=bool(llama_cpp.llama_vocab_get_add_bos(handle)),
        adds_eos=bool(llama_cpp.llama_vocab_get_add_eos(handle)),
        adds_sep=bool(llama_cpp.llama_vocab_get_add_sep(handle)),
    )


def _known(token: int) -> int | None:
    return None if token < 0 else int(token)
