"""A model whose blocks see a window of the text only: the worker keeps what lies before it, as the estimate says."""

import re
from pathlib import Path

import llama_cpp
import pytest

from fakes.gguf_files import FLOAT32, STRING, UINT32, GgufFile, Tensor, array, pair, scalar, vocabulary_pairs
from puna.llama.batch import Batch
from puna.llama.context import Context, DecodeResult
from puna.llama.model import Model
from puna.models.shape import read_shape

WIDTH, FEED_FORWARD, HEADS, KEYS, LAYERS, WINDOW = 64, 128, 4, 2 * 16, 2, 64
CELLS = 8192


@pytest.fixture
def gemma(tmp_path: Path) -> Path:
    """Return a Gemma 2 of nothing but zeros, every other block of which has a window."""
    numbers = {
        "block_count": LAYERS,
        "context_length": 1024,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": 2,
        "attention.key_length": 16,
        "attention.value_length": 16,
        "attention.sliding_window": WINDOW,
    }
    fractions = {
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    }
    shapes = {
        **dict.fromkeys(("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"), (WIDTH,)),
        **dict.fromkeys(("attn_q", "attn_output"), (WIDTH, WIDTH)),
        **dict.fromkeys(("attn_k", "attn_v"), (WIDTH, KEYS)),
        **dict.fromkeys(("ffn_gate", "ffn_up"), (WIDTH, FEED_FORWARD)),
        "ffn_down": (FEED_FORWARD, WIDTH),
    }
    pairs = [
        pair("general.architecture", scalar(STRING, "gemma2")),
        *(pair(f"gemma2.{key}", scalar(UINT32, value)) for key, value in numbers.items()),
        *(pair(f"gemma2.{key}", scalar(FLOAT32, value)) for key, value in fractions.items()),
        *vocabulary_pairs(),
        pair("tokenizer.ggml.merges", array(STRING, ["a b"])),
    ]
    tensors = [Tensor("token_embd.weight", (WIDTH, 8)), Tensor("output_norm.weight", (WIDTH,))]
    tensors += [
        Tensor(f"blk.{layer}.{name}.weight", dims) for layer in range(LAYERS) for name, dims in shapes.items()
    ]
    return GgufFile(pairs, tensors).write(tmp_path / "gemma.gguf")


def test_what_lies_before_the_window_is_kept_and_counted_so_that_any_prefix_can_be_used_again(
    gemma: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = Model(gemma, n_gpu_layers=0)
    context = Context(model, n_ctx=CELLS, n_batch=512, n_seq_max=2, n_threads=1)
    batch = Batch(512)
    try:
        for position in range(4 * WINDOW):
            batch.add(1, position, 0, wants_logits=False)
        assert context.decode(batch) is DecodeResult.OK
        assert llama_cpp.llama_memory_seq_pos_min(context._memory, 0) == 0
    finally:
        batch.close()
        context.close()
        model.close()
    told = re.findall(r"KV buffer size = +([0-9.]+) MiB", capfd.readouterr().err)
    estimated = CELLS * sum(layer.cell_bytes for layer in read_shape(gemma).layers)
    assert sum(map(float, told)) == estimated / 1024**2 == 2.0
