"""How tensors of a merged model are stored, and what its header says."""

from pathlib import Path

import pytest

from puna.domain.merging import MergedType
from puna.errors import InvalidRequestError
from puna.merging.blueprint import (
    FILE_TYPES,
    TYPE_NUMBERS,
    PlannedTensor,
    choose_type,
    data_size,
    encode_head,
    plan_tensors,
)
from puna.merging.pairs import edit_pairs, read_pairs
from puna.models.gguf.reader import read_header
from puna.models.gguf.tensors import FILE_TYPES as FILE_TYPE_NAMES
from puna.models.gguf.tensors import TENSOR_TYPES, TensorInfo
from puna.paths import Paths

DEMO = Paths.for_user().demo_model


def tensor(name: str, *dims: int, type_name: str = "Q8_0", offset: int = 0) -> TensorInfo:
    return TensorInfo(name, TENSOR_TYPES[TYPE_NUMBERS[type_name]], dims, offset)


def chosen(source: TensorInfo, wanted: MergedType | None, *, is_output: bool = False) -> str:
    return choose_type(source, wanted, is_output=is_output)


def test_without_a_wish_every_tensor_keeps_its_type() -> None:
    for type_name in ("F32", "Q4_0", "Q6_K", "IQ2_XXS"):
        assert chosen(tensor("blk.0.attn_q.weight", 256, 256, type_name=type_name), None) == type_name


@pytest.mark.parametrize("wanted", MergedType)
def test_matrices_get_the_type_that_is_wanted(wanted: MergedType) -> None:
    assert chosen(tensor("blk.0.ffn_down.weight", 512, 256), wanted) == wanted


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        ("blk.0.attn_norm.weight", (256,)),
        ("blk.0.attn_q.bias", (256,)),
        ("rope_freqs.weight", (32,)),
        ("blk.0.ffn_gate_inp.weight", (256, 8)),
        ("token_types.weight", (256, 2)),
    ],
)
def test_vectors_and_small_matrices_keep_theirs(name: str, dims: tuple[int, ...]) -> None:
    assert chosen(tensor(name, *dims, type_name="F32"), MergedType.Q4_0) == "F32"


def test_the_output_matrix_is_stored_finer_than_coarse_types() -> None:
    output = tensor("output.weight", 256, 4096)
    assert chosen(output, MergedType.Q4_0, is_output=True) == "Q6_K"
    assert chosen(tensor("output.weight", 96, 4096), MergedType.Q4_0, is_output=True) == "Q8_0"
    assert chosen(output, MergedType.Q8_0, is_output=True) == "Q8_0"
    assert chosen(output, MergedType.F32, is_output=True) == "F32"


def test_rows_that_fit_no_block_are_stored_in_a_type_that_they_fit() -> None:
    assert chosen(tensor("blk.0.ffn_up.weight", 96, 64), MergedType.Q4_K) == "Q5_0"
    assert chosen(tensor("blk.0.ffn_up.weight", 96, 64), MergedType.Q6_K) == "Q8_0"
    assert chosen(tensor("blk.0.ffn_up.weight", 40, 64, type_name="F16"), MergedType.Q4_0) == "F16"
    assert chosen(tensor("blk.0.ffn_up.weight", 40, 64, type_name="F16"), MergedType.Q4_K) == "F16"


def test_a_type_that_needs_an_importance_matrix_is_refused_only_where_something_changes() -> None:
    part = [tensor("a.weight", 256, 4, type_name="IQ2_XS"), tensor("b.weight", 256, 4)]
    assert [each.is_copied for each in plan_tensors([part], {"b.weight"}, None, 32)] == [True, False]
    with pytest.raises(InvalidRequestError, match=r"IQ2_XS cannot be written .*choose another type"):
        plan_tensors([part], {"a.weight"}, None, 32)
    assert plan_tensors([part], {"a.weight"}, MergedType.Q4_0, 32)[0].type_name == "Q4_0"


def test_the_tensors_of_all_parts_lie_one_behind_the_other() -> None:
    parts = [[tensor("a", 33, type_name="F32")], [tensor("b", 32, 2), tensor("c", 1, type_name="F32")]]
    planned = plan_tensors(parts, (), None, 64)
    assert [(each.part, each.offset, each.size_bytes) for each in planned] == [
        (0, 0, 132),
        (1, 192, 68),
        (1, 320, 4),
    ]
    assert data_size(planned, 64) == 384


def test_every_type_has_the_number_of_its_file_type() -> None:
    for wanted, number in FILE_TYPES.items():
        assert FILE_TYPE_NAMES[number].removesuffix("_S") == wanted


def test_all_metadata_of_the_base_is_kept_but_what_the_merge_changes(tmp_path: Path) -> None:
    base, header = read_pairs(DEMO), read_header(DEMO)
    assert list(base) == header.metadata.keys()
    edited = edit_pairs(
        base | {"split.count": b""}, name="New name", file_type=1, is_quantised=False, texts={"puna.x": "y"}
    )
    changed = {"general.name", "general.file_type"}
    assert {key: value for key, value in edited.items() if key not in changed | {"puna.x"}} == {
        key: value for key, value in base.items() if key not in changed
    }
    planned: list[PlannedTensor] = plan_tensors([header.tensors], (), None, header.alignment)
    path = tmp_path / "copy.gguf"
    content = DEMO.read_bytes()[header.data_offset :]
    path.write_bytes(encode_head(edited, planned, header.alignment) + content)
    again = read_header(path)
    assert again.metadata.text("general.name") == "New name"
    assert again.metadata.text("puna.x") == "y"
    assert again.metadata.integer("general.file_type") == 1
    assert again.metadata.text("tokenizer.chat_template") == header.metadata.text("tokenizer.chat_template")
    assert again.tensors == header.tensors
    assert read_pairs(path) == edited
