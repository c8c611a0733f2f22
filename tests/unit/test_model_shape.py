"""How much memory a file asks for, from its header."""

from pathlib import Path

import pytest

from fakes.gguf_files import (
    F16,
    F32,
    INT32,
    Q8_0,
    STRING,
    UINT32,
    GgufFile,
    Tensor,
    array,
    pair,
    scalar,
    split_files,
    vocabulary_pairs,
)
from puna.domain.memory import LayerShape, ModelShape
from puna.errors import ModelLoadError
from puna.models.shape import read_shape
from puna.paths import Paths

WIDTH = 64
NORM = 4 * WIDTH
SQUARE = WIDTH * WIDTH // 32 * 34
TABLE = WIDTH * 8 // 32 * 34


def model(
    folder: Path, architecture: str, blocks: list[list[Tensor]], **numbers: int | list[int]
) -> ModelShape:
    """Return the shape of a file with these blocks, a table of tokens, a norm and these numbers."""
    facts = {"block_count": len(blocks), "embedding_length": WIDTH, "context_length": 2048, **numbers}
    pairs = [
        pair("general.architecture", scalar(STRING, architecture)),
        *(
            pair(
                f"{architecture}.{key.replace('__', '.')}",
                array(INT32, value) if isinstance(value, list) else scalar(UINT32, value),
            )
            for key, value in facts.items()
        ),
        *vocabulary_pairs(),
    ]
    tensors = [Tensor("token_embd.weight", (WIDTH, 8), Q8_0), Tensor("output_norm.weight", (WIDTH,), F32)]
    for index, block in enumerate(blocks):
        tensors += [Tensor(f"blk.{index}.{each.name!s}.weight", each.dims, each.type) for each in block]
    return read_shape(GgufFile(pairs, tensors).write(folder / "model.gguf"))


def part(name: str) -> Tensor:
    return Tensor(name, (WIDTH, WIDTH), Q8_0)


def attention(kv_heads: int, head_length: int = 16) -> list[Tensor]:
    keys = [
        Tensor("attn_k", (WIDTH, kv_heads * head_length), Q8_0),
        Tensor("attn_v", (WIDTH, kv_heads * head_length), Q8_0),
    ]
    return [part("attn_q"), *keys, part("attn_output")]


ATTENTION = attention(2)
FUSED = [part("attn_qkv"), part("attn_output")]
STATE = [part("ssm_in"), part("ssm_out")]


def test_weights_are_counted_where_they_go(tmp_path: Path) -> None:
    shape = model(
        tmp_path,
        "llama",
        [ATTENTION, ATTENTION],
        attention__head_count=4,
        attention__head_count_kv=2,
        feed_forward_length=128,
    )
    assert shape.input_bytes == shape.tied_bytes == TABLE
    assert shape.output_bytes == NORM
    assert shape.layers == (LayerShape(3 * SQUARE, 2 * (16 + 16) * 2),) * 2
    assert shape.weights_bytes == TABLE + NORM + 6 * SQUARE
    assert (shape.width, shape.token_count, shape.trained_length) == (WIDTH, 8, 2048)
    assert shape.scratch_floats == 4 * WIDTH + 3 * 128


def test_numbers_that_can_be_no_sizes_count_as_absent(tmp_path: Path) -> None:
    shape = model(
        tmp_path,
        "llama",
        [ATTENTION],
        embedding_length=[-4096],
        attention__head_count=[-4],
        attention__key_length=[-(2**31)],
        feed_forward_length=[-1],
    )
    assert shape.layers[0].cell_bytes >= 0
    assert shape.scratch_floats >= 0
    assert shape.width == 0


def test_heads_may_differ_from_layer_to_layer(tmp_path: Path) -> None:
    shape = model(
        tmp_path,
        "openelm",
        [FUSED, FUSED],
        attention__head_count=[4, 8],
        attention__head_count_kv=[1, 2],
        attention__key_length=16,
        attention__value_length=16,
    )
    assert [layer.cell_bytes for layer in shape.layers] == [64, 128]


def test_blocks_with_a_window_may_have_keys_of_another_width_and_need_a_mask_of_their_own(
    tmp_path: Path,
) -> None:
    keys_alone = [each for each in attention(1, 32) if each.name != "attn_v"]
    shape = model(
        tmp_path,
        "gemma4",
        [attention(2, 8), [*attention(1, 32), Tensor("attn_k_norm", (32,), F32)], keys_alone],
        attention__head_count=4,
        attention__head_count_kv=[2, 1, 1],
        attention__key_length=32,
        attention__value_length=32,
        attention__key_length_swa=8,
        attention__value_length_swa=8,
        attention__sliding_window=512,
    )
    assert [layer.cell_bytes for layer in shape.layers] == [2 * (8 + 8) * 2, (32 + 32) * 2, (32 + 32) * 2]
    assert shape.masks == 2


def test_what_is_added_to_keys_is_no_matrix(tmp_path: Path) -> None:
    blocks = [[*ATTENTION, Tensor("attn_k", (32,), F32), Tensor("attn_v", (32,), F32)]]
    for block in blocks:
        block[-2].name, block[-1].name = "attn_k.bias", "attn_v.bias"
    shape = model(tmp_path, "qwen2", blocks, attention__head_count=4, attention__head_count_kv=2)
    assert shape.layers[0].cell_bytes == 128
    assert shape.masks == 1


def test_latent_attention_keeps_no_values(tmp_path: Path) -> None:
    latent = [part("attn_q"), part("attn_kv_a_mqa"), part("attn_k_b"), part("attn_v_b")]
    shape = model(
        tmp_path,
        "deepseek2",
        [latent],
        attention__head_count=16,
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=192,
    )
    assert shape.layers[0].cell_bytes == 576 * 2


def test_recurrent_blocks_keep_a_state_and_no_cells(tmp_path: Path) -> None:
    shape = model(
        tmp_path,
        "mamba",
        [STATE, STATE],
        ssm__conv_kernel=4,
        ssm__inner_size=128,
        ssm__state_size=16,
        attention__head_count=0,
    )
    assert shape.layers == (LayerShape(2 * SQUARE, 0, 4 * (3 * 128 + 16 * 128)),) * 2


def test_a_mixture_has_both_kinds_as_its_tensors_say(tmp_path: Path) -> None:
    linear = [part("attn_qkv"), part("ssm_out")]
    shape = model(
        tmp_path,
        "qwen3next",
        [linear, linear, attention(1), [*attention(1), *STATE]],
        attention__head_count=4,
        attention__head_count_kv=1,
        ssm__conv_kernel=4,
        ssm__inner_size=64,
        ssm__state_size=8,
        ssm__group_count=2,
    )
    state = 4 * (3 * (64 + 2 * 2 * 8) + 8 * 64)
    assert [(layer.cell_bytes, layer.state_bytes) for layer in shape.layers] == [
        (0, state),
        (0, state),
        (64, 0),
        (64, state),
    ]


def test_short_convolutions_keep_their_last_inputs(tmp_path: Path) -> None:
    shape = model(
        tmp_path,
        "lfm2",
        [[part("shortconv.in_proj")], ATTENTION],
        attention__head_count=4,
        attention__head_count_kv=[0, 2],
        shortconv__l_cache=3,
    )
    assert [(layer.cell_bytes, layer.state_bytes) for layer in shape.layers] == [(0, 4 * 2 * WIDTH), (128, 0)]


def test_layers_that_share_the_keys_of_others_keep_none(tmp_path: Path) -> None:
    shape = model(
        tmp_path,
        "gemma3n",
        [ATTENTION] * 3,
        attention__head_count=4,
        attention__head_count_kv=2,
        attention__shared_kv_layers=1,
    )
    assert [layer.cell_bytes for layer in shape.layers] == [128, 128, 0]


def test_an_encoder_keeps_nothing_between_texts(tmp_path: Path) -> None:
    shape = model(tmp_path, "bert", [ATTENTION], attention__head_count=4)
    assert shape.layers[0].cell_bytes == 0


def test_experts_count_as_many_as_are_used(tmp_path: Path) -> None:
    shape = model(
        tmp_path,
        "qwen3moe",
        [ATTENTION],
        attention__head_count=4,
        expert_used_count=8,
        expert_feed_forward_length=32,
        feed_forward_length=64,
    )
    assert shape.scratch_floats == 4 * WIDTH + 3 * 256


def test_all_parts_of_a_model_count(tmp_path: Path) -> None:
    for number, file in enumerate(split_files(3), 1):
        file.write(tmp_path / f"m-{number:05d}-of-00003.gguf")
    shape = read_shape(tmp_path / "m-00001-of-00003.gguf")
    assert len(shape.layers) == 3
    assert all(layer.weights_bytes == 256 for layer in shape.layers)
    (tmp_path / "m-00002-of-00003.gguf").unlink()
    with pytest.raises(ModelLoadError, match="m-00002-of-00003"):
        read_shape(tmp_path / "m-00001-of-00003.gguf")


def test_a_head_of_its_own_is_not_the_table_once_more(tmp_path: Path) -> None:
    pairs = [pair("general.architecture", scalar(STRING, "llama")), *vocabulary_pairs()]
    tensors = [Tensor("token_embd.weight", (WIDTH, 8), Q8_0), Tensor("output.weight", (WIDTH, 8), F16)]
    shape = read_shape(GgufFile(pairs, tensors).write(tmp_path / "model.gguf"))
    assert (shape.input_bytes, shape.output_bytes, shape.tied_bytes) == (TABLE, WIDTH * 8 * 2, 0)
    assert shape.layers == ()


def test_the_demo_model_is_as_llama_cpp_reports_it(tmp_path: Path) -> None:
    shape = read_shape(Paths.under(tmp_path).demo_model)
    # `CPU_Mapped model buffer size`, `KV buffer size` for 8,192 cells, and the compute buffer but for its mask.
    assert shape.weights_bytes == pytest.approx(5.56 * 2**20, rel=0.002)
    assert 8192 * sum(layer.cell_bytes for layer in shape.layers) == 24 * 2**20
    assert 512 * 4 * shape.scratch_floats == pytest.approx(6.14 * 2**20, rel=0.01)
