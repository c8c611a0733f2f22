"""Embedding models and rerankers with random weights that llama.cpp really runs: BERT of one layer, and a llama."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fakes.gguf_files import BOOL, FLOAT32, INT32, STRING, UINT32, GgufFile, Tensor, array, pair, scalar

NONE, MEAN, CLS, LAST, RANK = range(5)
"""`enum llama_pooling_type`."""
WIDTH = 32
CONTEXT = 128
"""Tokens that the models are trained for."""
_HIDDEN = 64
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = (
    "llama",
    "puna",
    "grass",
    "the",
    "a",
    "is",
    "of",
    "where",
    "what",
    "eats",
    "high",
    "plain",
    "animal",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def write_embedder(
    path: Path, *, pooling: int | None = MEAN, seed: int = 1, architecture: str = "bert"
) -> Path:
    """Write a BERT with a WordPiece vocabulary; without `pooling` the file does not say how vectors are pooled."""
    return _write(path, _bert_pairs(architecture, pooling), _bert_tensors(), seed)


def write_reranker(path: Path, *, outputs: int = 1, template: str | None = None, seed: int = 1) -> Path:
    """Write a BERT with a classifier on top, that ranks documents; `template` is its `rerank` template."""
    labels = [f"label {i}" for i in range(outputs)]
    pairs = [*_bert_pairs("bert", RANK), pair("bert.classifier.output_labels", array(STRING, labels))]
    if template is not None:
        pairs.append(pair("tokenizer.chat_template.rerank", scalar(STRING, template)))
    head = [
        Tensor("cls.weight", (WIDTH, WIDTH)),
        Tensor("cls.bias", (WIDTH,)),
        Tensor("cls.output.weight", (WIDTH, outputs)),
        Tensor("cls.output.bias", (outputs,)),
    ]
    return _write(path, pairs, [*_bert_tensors(), *head], seed)


def write_decoding_embedder(
    path: Path, *, pooling: int = LAST, context: int = CONTEXT, seed: int = 1
) -> Path:
    """Write a llama, which reads from left to right, that embeds: its vocabulary is a WordPiece one too."""
    return _write(path, _decoder_pairs("llama", pooling, context), _decoder_tensors(), seed)


def write_decoding_reranker(path: Path, *, seed: int = 1) -> Path:
    """Write a Qwen3, which reads from left to right, that ranks: it says how likely `yes` and `no` are."""
    pairs = [
        *_decoder_pairs("qwen3", RANK),
        pair("qwen3.classifier.output_labels", array(STRING, ["yes", "no"])),
        pair("tokenizer.chat_template.rerank", scalar(STRING, "{query} of {document}")),
    ]
    tensors = [
        *_decoder_tensors(),
        Tensor("blk.0.attn_q_norm.weight", (WIDTH // 2,)),
        Tensor("blk.0.attn_k_norm.weight", (WIDTH // 2,)),
        Tensor("cls.output.weight", (WIDTH, 2)),
    ]
    return _write(path, pairs, tensors, seed)


def write_t5_encoder(path: Path, *, seed: int = 1) -> Path:
    """Write the encoder of a T5, which llama.cpp runs in another way than BERT."""
    pairs = [
        *_pairs("t5encoder", None),
        pair("t5encoder.attention.layer_norm_rms_epsilon", scalar(FLOAT32, 1e-6)),
        pair("t5encoder.attention.relative_buckets_count", scalar(UINT32, 8)),
    ]
    tensors = [
        Tensor("token_embd.weight", (WIDTH, len(_tokens()))),
        Tensor("enc.output_norm.weight", (WIDTH,)),
        Tensor("enc.blk.0.attn_norm.weight", (WIDTH,)),
        Tensor("enc.blk.0.attn_rel_b.weight", (2, 8)),
        *(Tensor(f"enc.blk.0.attn_{name}.weight", (WIDTH, WIDTH)) for name in ("q", "k", "v", "o")),
        Tensor("enc.blk.0.ffn_norm.weight", (WIDTH,)),
        Tensor("enc.blk.0.ffn_up.weight", (WIDTH, _HIDDEN)),
        Tensor("enc.blk.0.ffn_down.weight", (_HIDDEN, WIDTH)),
    ]
    return _write(path, pairs, tensors, seed)


def _tokens() -> list[str]:
    """Return the vocabulary: `▁` begins a word, other pieces go on with one."""
    begins = (f"▁{piece}" for piece in (*_WORDS, *_LETTERS, "?", ".", ","))
    return list(dict.fromkeys((*_SPECIAL, *begins, *_LETTERS)))


def _decoder_pairs(architecture: str, pooling: int, context: int = CONTEXT) -> list[bytes]:
    return [
        *_pairs(architecture, pooling, context),
        pair(f"{architecture}.rope.dimension_count", scalar(UINT32, WIDTH // 2)),
        pair(f"{architecture}.attention.key_length", scalar(UINT32, WIDTH // 2)),
        pair(f"{architecture}.attention.value_length", scalar(UINT32, WIDTH // 2)),
        pair(f"{architecture}.attention.layer_norm_rms_epsilon", scalar(FLOAT32, 1e-5)),
    ]


def _decoder_tensors() -> list[Tensor]:
    return [
        Tensor("token_embd.weight", (WIDTH, len(_tokens()))),
        Tensor("output_norm.weight", (WIDTH,)),
        Tensor("blk.0.attn_norm.weight", (WIDTH,)),
        *(Tensor(f"blk.0.attn_{name}.weight", (WIDTH, WIDTH)) for name in ("q", "k", "v", "output")),
        Tensor("blk.0.ffn_norm.weight", (WIDTH,)),
        Tensor("blk.0.ffn_gate.weight", (WIDTH, _HIDDEN)),
        Tensor("blk.0.ffn_up.weight", (WIDTH, _HIDDEN)),
        Tensor("blk.0.ffn_down.weight", (_HIDDEN, WIDTH)),
    ]


def _bert_pairs(architecture: str, pooling: int | None) -> list[bytes]:
    return [
        *_pairs(architecture, pooling),
        pair(f"{architecture}.attention.layer_norm_epsilon", scalar(FLOAT32, 1e-12)),
        pair(f"{architecture}.attention.causal", scalar(BOOL, False)),
    ]


def _pairs(architecture: str, pooling: int | None, context: int = CONTEXT) -> list[bytes]:
    tokens = _tokens()
    types = [_CONTROL, _UNKNOWN, _CONTROL, _CONTROL, _CONTROL] + [_NORMAL] * (len(tokens) - len(_SPECIAL))
    numbers = {
        f"{architecture}.context_length": context,
        f"{architecture}.embedding_length": WIDTH,
        f"{architecture}.block_count": 1,
        f"{architecture}.feed_forward_length": _HIDDEN,
        f"{architecture}.attention.head_count": 2,
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.cls_token_id": 2,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.eos_token_id": 3,
        "tokenizer.ggml.mask_token_id": 4,
    }
    if pooling is not None:
        numbers[f"{architecture}.pooling_type"] = pooling
    return [
        pair("general.architecture", scalar(STRING, architecture)),
        pair("general.name", scalar(STRING, f"Tiny {architecture}")),
        *(pair(key, scalar(UINT32, value)) for key, value in numbers.items()),
        pair("tokenizer.ggml.model", scalar(STRING, "bert")),
        pair("tokenizer.ggml.pre", scalar(STRING, "default")),
        pair("tokenizer.ggml.tokens", array(STRING, tokens)),
        pair("tokenizer.ggml.token_type", array(INT32, types)),
    ]


def _bert_tensors() -> list[Tensor]:
    tensors = [
        Tensor("token_embd.weight", (WIDTH, len(_tokens()))),
        Tensor("token_types.weight", (WIDTH, 2)),
        Tensor("position_embd.weight", (WIDTH, CONTEXT)),
        *_affine("token_embd_norm"),
        *_affine("blk.0.attn_output_norm"),
        *_affine("blk.0.layer_output_norm"),
    ]
    for name in ("q", "k", "v", "output"):
        tensors += [
            Tensor(f"blk.0.attn_{name}.weight", (WIDTH, WIDTH)),
            Tensor(f"blk.0.attn_{name}.bias", (WIDTH,)),
        ]
    for name, dims in (("up", (WIDTH, _HIDDEN)), ("down", (_HIDDEN, WIDTH))):
        tensors += [Tensor(f"blk.0.ffn_{name}.weight", dims), Tensor(f"blk.0.ffn_{name}.bias", dims[1:])]
    return tensors


def _affine(name: str) -> list[Tensor]:
    return [Tensor(f"{name}.weight", (WIDTH,)), Tensor(f"{name}.bias", (WIDTH,))]


def _write(path: Path, pairs: list[bytes], tensors: Sequence[Tensor], seed: int) -> Path:
    rng = np.random.default_rng(seed)
    parts = []
    for tensor in tensors:
        name, shape = str(tensor.name), tuple(reversed(tensor.dims))
        values = np.ones(shape) if name.endswith("norm.weight") else rng.normal(0, 0.3, shape)
        raw = values.astype("<f4").tobytes()
        parts.append(raw + bytes(-len(raw) % 32))
    file = GgufFile(pairs, list(tensors))
    file.data = b"".join(parts)
    return file.write(path)
