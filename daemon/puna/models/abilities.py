"""What a model is for and what it can do, as its header tells. Pure."""

import re
from functools import lru_cache

from puna.domain.models import ModelKind
from puna.models.gguf.values import Metadata

ENCODERS = frozenset(
    {
        "bert",
        "eurobert",
        "gemma-embedding",
        "jina-bert-v2",
        "jina-bert-v3",
        "llama-embed",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "t5encoder",
    }
)
"""Architectures of llama.cpp (src/llama-arch.cpp) that read the whole text at once and write none."""

_UNSPECIFIED, _NONE, _RANK = -1, 0, 4
"""Of `enum llama_pooling_type` in llama.h; 1 to 3 make one vector of a text: its mean, its first or its last."""
_MAX_TEMPLATES = 4096
"""Whose meaning is remembered: each look through the disk asks for all of them."""
_TOOLS = re.compile(r"\btools\b")
_INFILL_KEYS = (
    ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
    ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
    ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
)
"""Each with its older name."""


def model_kind_of(metadata: Metadata) -> ModelKind:
    """Return what a model is for: pooling makes one vector of a text, or ranks it; an encoder does nothing else."""
    architecture = metadata.text("general.architecture") or ""
    pooling = metadata.integer(f"{architecture}.pooling_type")
    if pooling == _RANK:
        return ModelKind.RERANKER
    if architecture in ENCODERS or pooling not in {None, _UNSPECIFIED, _NONE}:
        return ModelKind.EMBEDDING
    return ModelKind.TEXT


def embedding_length_of(metadata: Metadata) -> int:
    """Return the components of a token's vector; of the text's where the model ends in a layer of another width."""
    architecture = metadata.text("general.architecture") or ""
    names = ("embedding_length_out", "embedding_length")
    return next((size for name in names if (size := metadata.integer(f"{architecture}.{name}"))), 0)


def can_infill(metadata: Metadata) -> bool:
    """Return whether the file names the tokens for a gap. llama.cpp finds some by their texts once it runs."""
    return all(any(key in metadata for key in names) for names in _INFILL_KEYS)


@lru_cache(_MAX_TEMPLATES)
def can_think(chat_template: str | None) -> bool:
    """Return whether a template speaks of reasoning."""
    # Imported here: the daemon starts without it, and a listing remembers what it says.
    from puna.prompting.output_format import choose_output_format

    return choose_output_format(chat_template).knows_reasoning


@lru_cache(_MAX_TEMPLATES)
def can_call_tools(chat_template: str | None) -> bool:
    """Return whether a template shows tools to the model."""
    return _TOOLS.search(chat_template or "") is not None
