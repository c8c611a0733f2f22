"""Models with random weights that llama.cpp really runs: too small to say anything, for tests of vocabularies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fakes.gguf_files import BOOL, F32, FLOAT32, INT32, STRING, UINT32, GgufFile, Tensor, array, pair, scalar

_WIDTH, _HIDDEN, _LAYERS, _CONTEXT = 32, 64, 1, 512
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_WORDS = [
    "▁the",
    "▁llama",
    "▁is",
    "▁a",
    "▁of",
    "▁and",
    "true",
    "false",
    "null",
    "▁true",
    "▁false",
    "name",
    "age",
    "city",
    "units",
    "year",
    "s",
    "ing",
    "er",
    "▁an",
    "▁in",
    "on",
    "at",
    "an",
    "en",
    "re",
    "th",
    "he",
    "10",
    "20",
    "30",
    "0.",
    "1.",
    "2.",
    "▁-",
    "▁1",
    "▁2",
]
_CHARACTERS = [chr(code) for code in range(33, 127)] + ["▁"]
_PUNCTUATION = ['"', '":', '",', '"}', '{"', "},", '":"', '","', '"]', '["', "}}"]


def write_sentencepiece_model(
    path: Path,
    *,
    seed: int = 1,
    control_tokens: Sequence[str] = (),
    infill_tokens: Sequence[str] = (),
    chat_template: str | None = None,
) -> Path:
    """Write a llama of one layer with a SentencePiece vocabulary: spaces are `▁`, bytes are tokens.

    `infill_tokens` are prefix, suffix and middle, and among the control tokens, which come last.
    """
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256]
    pieces = list(dict.fromkeys([*_WORDS, *_PUNCTUATION, *_CHARACTERS]))
    tokens += pieces
    types += [_NORMAL] * len(pieces)
    tokens += control_tokens
    types += [_CONTROL] * len(control_tokens)
    scores = [0.0] * 259 + [-float(i) for i in range(len(tokens) - 259)]
    pairs = _pairs(tokens, scores, types)
    for name, text in zip(("pre", "suf", "mid"), infill_tokens, strict=False):
        pairs.append(pair(f"tokenizer.ggml.fim_{name}_token_id", scalar(UINT32, tokens.index(text))))
    if chat_template is not None:
        pairs.append(pair("tokenizer.chat_template", scalar(STRING, chat_template)))
    file = GgufFile(pairs, _tensors(len(tokens)))
    file.data = _weights(file.tensors, seed)
    return file.write(path)


def write_sliding_window_model(path: Path, *, window: int, seed: int = 1) -> Path:
    """Write a Gemma 2 of two layers, of which the first looks back no further than its window."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    numbers = {
        "context_length": _CONTEXT,
        "embedding_length": _WIDTH,
        "block_count": 2,
        "feed_forward_length": _HIDDEN,
        "attention.head_count": 2,
        "attention.head_count_kv": 2,
        "attention.key_length": _WIDTH // 2,
        "attention.value_length": _WIDTH // 2,
        "attention.sliding_window": window,
        "vocab_size": len(tokens),
    }
    pairs = [
        pair("general.architecture", scalar(STRING, "gemma2")),
        *(pair(f"gemma2.{key}", scalar(UINT32, value)) for key, value in numbers.items()),
        pair("gemma2.attention.layer_norm_rms_epsilon", scalar(FLOAT32, 1e-5)),
        pair("tokenizer.ggml.model", scalar(STRING, "llama")),
        pair("tokenizer.ggml.tokens", array(STRING, tokens)),
        pair("tokenizer.ggml.scores", array(FLOAT32, [0.0] * len(tokens))),
        pair("tokenizer.ggml.token_type", array(INT32, [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256])),
    ]
    tensors = [Tensor("token_embd.weight", (_WIDTH, len(tokens))), Tensor("output_norm.weight", (_WIDTH,))]
    for block in ("blk.0", "blk.1"):
        norms = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
        tensors += [Tensor(f"{block}.{name}.weight", (_WIDTH,)) for name in norms]
        squares = ("attn_q", "attn_k", "attn_v", "attn_output")
        tensors += [Tensor(f"{block}.{name}.weight", (_WIDTH, _WIDTH)) for name in squares]
        tensors += [Tensor(f"{block}.{name}.weight", (_WIDTH, _HIDDEN)) for name in ("ffn_gate", "ffn_up")]
        tensors.append(Tensor(f"{block}.ffn_down.weight", (_HIDDEN, _WIDTH)))
    file = GgufFile(pairs, tensors)
    file.data = _weights(tensors, seed)
    return file.write(path)


def _pairs(tokens: list[str], scores: list[float], types: list[int]) -> list[bytes]:
    numbers = {
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": _LAYERS,
        "llama.feed_forward_length": _HIDDEN,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": _WIDTH // 2,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
    return [
        pair("general.architecture", scalar(STRING, "llama")),
        pair("general.name", scalar(STRING, "Tiny SentencePiece")),
        *(pair(key, scalar(UINT32, value)) for key, value in numbers.items()),
        pair("llama.attention.layer_norm_rms_epsilon", scalar(FLOAT32, 1e-5)),
        pair("tokenizer.ggml.model", scalar(STRING, "llama")),
        pair("tokenizer.ggml.tokens", array(STRING, tokens)),
        pair("tokenizer.ggml.scores", array(FLOAT32, scores)),
        pair("tokenizer.ggml.token_type", array(INT32, types)),
        pair("tokenizer.ggml.add_bos_token", scalar(BOOL, True)),
        pair("tokenizer.ggml.add_space_prefix", scalar(BOOL, True)),
    ]


def _tensors(n_vocab: int) -> list[Tensor]:
    square = (_WIDTH, _WIDTH)
    return [
        Tensor("token_embd.weight", (_WIDTH, n_vocab)),
        Tensor("output_norm.weight", (_WIDTH,)),
        Tensor("output.weight", (_WIDTH, n_vocab)),
        Tensor("blk.0.attn_norm.weight", (_WIDTH,)),
        *(Tensor(f"blk.0.attn_{name}.weight", square) for name in ("q", "k", "v", "output")),
        Tensor("blk.0.ffn_norm.weight", (_WIDTH,)),
        Tensor("blk.0.ffn_gate.weight", (_WIDTH, _HIDDEN)),
        Tensor("blk.0.ffn_up.weight", (_WIDTH, _HIDDEN)),
        Tensor("blk.0.ffn_down.weight", (_HIDDEN, _WIDTH)),
    ]


def _weights(tensors: list[Tensor], seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    parts = []
    for tensor in tensors:
        assert tensor.type == F32
        shape = tuple(reversed(tensor.dims))
        is_norm = len(shape) == 1
        values = np.ones(shape) if is_norm else rng.normal(0, 0.2, shape)
        raw = values.astype("<f4").tobytes()
        parts.append(raw + bytes(-len(raw) % 32))
    return b"".join(parts)
