"""The script that makes models with random weights."""

from pathlib import Path

import pytest

from puna.models.gguf.reader import read_header
from puna.models.header import read_model_header
from puna.paths import Paths
from random_model.gguf_file import QUANTISATIONS, count_tokens, write_random_model
from random_model.shape import Shape, choose_shape

SMALL = Shape(width=256, layers=2, feed_forward=768, heads=4, kv_heads=1, vocabulary=4096)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return Paths.under(tmp_path).demo_model


@pytest.mark.parametrize("size", [20e6, 300e6, 1e9, 3e9, 7e9])
def test_a_shape_has_about_as_many_parameters_as_asked_for(size: float) -> None:
    shape = choose_shape(size, 4096)
    assert shape.parameters == pytest.approx(size, rel=0.05)
    assert shape.width % shape.head_size == 0
    assert shape.heads % shape.kv_heads == 0


@pytest.mark.parametrize("name", QUANTISATIONS)
def test_the_file_is_sound_and_of_the_size_it_should_be(tmp_path: Path, demo: Path, name: str) -> None:
    path = tmp_path / "random.gguf"
    write_random_model(path, SMALL, QUANTISATIONS[name], vocabulary_of=demo, context_length=1024, seed=1)
    facts = read_model_header(path)
    assert facts.parameter_count == SMALL.parameters
    assert facts.quantisation.lower() == name
    assert (facts.context_length, facts.token_count) == (1024, count_tokens(demo))
    assert facts.chat_template == read_model_header(demo).chat_template
    weights = sum(tensor.size_bytes for tensor in read_header(path).tensors)
    assert path.stat().st_size == pytest.approx(weights, rel=0.1)


def test_the_same_seed_gives_the_same_file(tmp_path: Path, demo: Path) -> None:
    path = tmp_path / "same.gguf"
    contents = []
    for seed in (1, 1, 2):
        write_random_model(
            path, SMALL, QUANTISATIONS["q8_0"], vocabulary_of=demo, context_length=1024, seed=seed
        )
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] != contents[2]
    assert not path.with_name("same.gguf.part").exists()
