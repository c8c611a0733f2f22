"""LoRA adapters with random weights for a model of the tests."""

from pathlib import Path

import numpy as np

from fakes.gguf_files import FLOAT32, STRING, GgufFile, Tensor, pair, scalar
from puna.models.header import read_model_header

_RANK = 4


def write_adapter(path: Path, model: Path, *, seed: int, strength: float = 1.0) -> Path:
    """Write an adapter for the queries and outputs of every layer of a llama; `strength` 0 changes nothing."""
    header = read_model_header(model)
    width = header.embedding_length
    tensors, parts = [], []
    rng = np.random.default_rng(seed)
    for layer in range(header.block_count):
        for name in ("attn_q", "attn_output"):
            base = f"blk.{layer}.{name}.weight"
            for suffix, dims, scale in (("a", (width, _RANK), 1.0), ("b", (_RANK, width), strength)):
                tensors.append(Tensor(f"{base}.lora_{suffix}", dims))
                values = rng.normal(0, 0.3, dims[::-1]) * scale
                parts.append(values.astype("<f4").tobytes())
    pairs = [
        pair("general.architecture", scalar(STRING, header.architecture)),
        pair("general.type", scalar(STRING, "adapter")),
        pair("adapter.type", scalar(STRING, "lora")),
        pair("adapter.lora.alpha", scalar(FLOAT32, float(_RANK))),
    ]
    data = b"".join(part + bytes(-len(part) % 32) for part in parts)
    return GgufFile(pairs, tensors, data=data).write(path)
