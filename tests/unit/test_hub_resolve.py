"""Which files a name means, which quantisation is recommended, and what fits."""

import pytest

from puna.domain.hub_offers import Fit
from puna.errors import ModelNotFoundError
from puna.hub.names import HubReference
from puna.hub.quantisations import judge_fit, label_of, recommend, same_label
from puna.hub.records import RepoFile, RepoInfo
from puna.hub.resolve import choose, has_models, rank_conversions, variants_of

GIB = 1024**3


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("phi-2.Q5_K_S.gguf", "Q5_K_S"),
        ("model-IQ2_XXS.gguf", "IQ2_XXS"),
        ("gemma-3-1b-it-UD-Q4_K_XL.gguf", "Q4_K_XL"),
        ("m-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("ggml-model-f16.gguf", "F16"),
        ("model-fp16.gguf", "F16"),
        ("m-BF16-00001-of-00003.gguf", "BF16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("gpt-oss-20b-MXFP4_MOE.gguf", "MXFP4"),
        ("Q8_0/model.gguf", "Q8_0"),
        ("UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf", "IQ1_S"),
        ("TQ1_0/m.gguf", "TQ1_0"),
        ("m.gguf", ""),
        ("q4u-Q8_0.gguf", "Q8_0"),
        ("qwen3-7b.gguf", ""),
    ],
)
def test_a_file_name_tells_its_quantisation(name: str, label: str) -> None:
    assert label_of(name) == label


def test_people_write_quantisations_in_their_own_way() -> None:
    assert same_label("Q4_K_M", "q4_k_m")
    assert same_label("Q4_K_XL", "UD-Q4_K_XL")
    assert same_label("F16", "fp16")
    assert not same_label("Q4_K_M", "Q4_K_S")


def test_the_first_recommended_one_that_fits_is_taken() -> None:
    sizes = [("Q8_0", 8 * GIB), ("Q4_K_M", 4 * GIB), ("Q3_K_M", 3 * GIB), ("IQ2_M", 2 * GIB)]
    assert recommend(sizes) == 1
    assert recommend(sizes, 100 * GIB) == 1
    assert recommend(sizes, 4 * GIB) == 2
    assert recommend(sizes, 1 * GIB) == 3


def test_a_small_model_is_taken_with_eight_bits() -> None:
    assert recommend([("Q4_K_M", 400 << 20), ("Q8_0", 530 << 20)]) == 1
    assert recommend([("Q4_K_M", 400 << 20), ("Q8_0", 700 << 20)]) == 0


def test_what_is_not_free_now_is_tight() -> None:
    assert judge_fit(GIB, free_bytes=4 * GIB, total_bytes=8 * GIB) is Fit.FITS
    assert judge_fit(4 * GIB, free_bytes=4 * GIB, total_bytes=8 * GIB) is Fit.TIGHT
    assert judge_fit(8 * GIB, free_bytes=8 * GIB, total_bytes=8 * GIB) is Fit.TOO_LARGE


def repo(*names: str) -> RepoInfo:
    return RepoInfo(
        id="org/repo", commit="a" * 40, files=tuple(RepoFile(name=name, size_bytes=2 * GIB) for name in names)
    )


def files_of(info: RepoInfo, name: str) -> list[str]:
    reference = HubReference("org/repo", name or None)
    return [file.name for file in choose(info, reference).files]


def test_the_recommended_quantisation_is_chosen_without_a_tag() -> None:
    info = repo("m-Q2_K.gguf", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "README.md", "model.safetensors")
    assert files_of(info, "") == ["m-Q4_K_M.gguf"]
    assert choose(info, HubReference("org/repo")).name == "org/repo:Q4_K_M"


def test_all_parts_of_a_split_are_chosen_in_order() -> None:
    parts = [f"Q4_K_M/m-Q4_K_M-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert files_of(repo(*reversed(parts), "m-Q2_K.gguf"), "Q4_K_M") == parts


def test_a_split_with_missing_parts_is_not_chosen() -> None:
    info = repo("m-Q4_K_M-00001-of-00002.gguf", "m-Q2_K.gguf")
    assert files_of(info, "") == ["m-Q2_K.gguf"]
    assert not variants_of(info.files)[-1].is_complete


def test_a_projection_comes_with_its_model_and_is_none_itself() -> None:
    info = repo("mmproj-model-f32.gguf", "mmproj-model-f16.gguf", "m-Q4_K_M.gguf")
    assert files_of(info, "") == ["m-Q4_K_M.gguf", "mmproj-model-f16.gguf"]
    assert not has_models(repo("mmproj-model-f16.gguf"))


def test_a_file_can_be_named() -> None:
    info = repo("a/m-Q4_K_M.gguf", "b/m-Q4_K_M.gguf")
    assert files_of(info, "b/m-Q4_K_M.gguf") == ["b/m-Q4_K_M.gguf"]
    assert files_of(info, "b/m-Q4_K_M") == ["b/m-Q4_K_M.gguf"]
    assert choose(info, HubReference("org/repo", "b/m-Q4_K_M.gguf")).name == "org/repo:b/m-Q4_K_M.gguf"


def test_an_unknown_quantisation_is_told_with_those_that_are_there() -> None:
    with pytest.raises(ModelNotFoundError, match=r"org/repo has no Q5_0; it has Q4_K_M, Q2_K\."):
        files_of(repo("m-Q2_K.gguf", "m-Q4_K_M.gguf"), "Q5_0")


def test_a_file_without_a_quantisation_is_named_by_its_file() -> None:
    assert choose(repo("model.gguf"), HubReference("org/repo")).name == "org/repo:model.gguf"


def test_imatrix_files_are_no_models() -> None:
    assert not has_models(repo("imatrix.gguf", "m.imatrix.gguf"))


def test_the_makers_own_conversion_comes_first_and_gated_ones_last() -> None:
    found = [
        RepoInfo(id="crowd/Model-GGUF", downloads=10),
        RepoInfo(id="gated/Model-GGUF", downloads=1000, is_gated=True),
        RepoInfo(id="crowd/other-merge-GGUF", downloads=500),
        RepoInfo(id="Maker/Model-GGUF", downloads=1),
    ]
    ranked = [each.id for each in rank_conversions("maker/model", found)]
    assert ranked == ["Maker/Model-GGUF", "crowd/Model-GGUF", "crowd/other-merge-GGUF", "gated/Model-GGUF"]
