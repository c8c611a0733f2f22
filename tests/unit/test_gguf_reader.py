"""Headers of GGUF files, sound and broken."""

import ctypes
import importlib.util
import math
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import gguf_files as fake
from fakes.gguf_files import GgufFile, Tensor, array, array_head, model_file, pair, scalar
from puna.errors import ModelLoadError
from puna.models.gguf.reader import MAX_ARRAY_TEXTS, MAX_KEPT_BYTES, MAX_TEXT_BYTES, read_header
from puna.models.gguf.tensors import REMOVED_TENSOR_TYPES, TENSOR_TYPES
from puna.models.gguf.values import LongText, ValueType
from puna.models.header import GgufKind, read_model_header
from puna.paths import Paths


def refusal(path: Path) -> str:
    """Return why the file is refused, after checking that the sentence fits for a person."""
    with pytest.raises(ModelLoadError) as caught:
        read_model_header(path)
    message = caught.value.message
    assert message.startswith(f"{path.name} ")
    assert message.endswith(".")
    assert str(path.parent) not in message
    assert message.isprintable()
    return message


def test_the_demo_model_is_sound() -> None:
    header = read_model_header(Paths.for_user().demo_model)
    assert header.kind is GgufKind.MODEL
    assert (header.architecture, header.tokenizer, header.quantisation) == ("llama", "gpt2", "Q8_0")
    assert header.parameter_count > 1_000_000
    assert header.context_length >= 512
    assert header.token_count > 256
    assert header.chat_template is not None


def test_the_facts_of_a_model_are_read(tmp_path: Path) -> None:
    template = pair("tokenizer.chat_template", scalar(fake.STRING, "{{ messages }}"))
    header = read_model_header(model_file("Tiny Llama", template).write(tmp_path / "tiny.gguf"))
    assert (header.kind, header.architecture, header.name) == (GgufKind.MODEL, "llama", "Tiny Llama")
    assert header.parameter_count == 64 * 8 + 64 + 64 * 64
    assert (header.context_length, header.block_count, header.embedding_length) == (2048, 2, 64)
    assert (header.head_count, header.head_count_kv) == (4, 2)
    assert (header.quantisation, header.token_count, header.tokenizer) == ("Q8_0", 8, "gpt2")
    assert (header.split_index, header.split_count) == (0, 1)
    assert header.chat_template == "{{ messages }}"
    assert header.size_bytes == (tmp_path / "tiny.gguf").stat().st_size


def test_every_value_type_is_read(tmp_path: Path) -> None:
    values = {
        "u8": (fake.UINT8, 200),
        "i8": (fake.INT8, -3),
        "u16": (fake.UINT16, 60_000),
        "i16": (fake.INT16, -300),
        "u32": (fake.UINT32, 2**31),
        "i32": (fake.INT32, -(2**31)),
        "u64": (fake.UINT64, 2**63),
        "i64": (fake.INT64, -(2**63)),
    }
    pairs = [pair(key, scalar(*value)) for key, value in values.items()]
    pairs += [pair("text", scalar(fake.STRING, "llama 🦙")), pair("list", array(fake.STRING, ["a", "b"]))]
    pairs += [pair("f32", scalar(fake.FLOAT32, 0.5)), pair("flag", scalar(fake.BOOL, True))]
    metadata = read_header(GgufFile(pairs).write(tmp_path / "all.gguf")).metadata
    assert {key: metadata.integer(key) for key in values} == {key: value[1] for key, value in values.items()}
    assert metadata.text("text") == "llama 🦙"
    assert metadata.integer("f32") is None
    assert metadata.integer("flag") is None
    assert metadata.integer("absent") is None
    texts = metadata.array("list")
    assert texts is not None
    assert texts.items == ("a", "b")


def test_a_vocabulary_is_counted_but_not_kept(tmp_path: Path) -> None:
    pairs = [
        pair("tokens", array(fake.STRING, [f"token {number}" * (number % 7) for number in range(50_000)])),
        pair("scores", array(fake.FLOAT32, [0.0] * 50_000)),
        pair("after", scalar(fake.UINT32, 7)),
    ]
    metadata = read_header(GgufFile(pairs).write(tmp_path / "vocabulary.gguf")).metadata
    tokens, scores = metadata.array("tokens"), metadata.array("scores")
    assert tokens is not None
    assert scores is not None
    assert (tokens.element_type, tokens.count, tokens.items) == (ValueType.STRING, 50_000, None)
    assert (scores.element_type, scores.count, scores.items) == (ValueType.FLOAT32, 50_000, None)
    assert metadata.integer("after") == 7


def test_a_text_beyond_the_limit_is_not_kept(tmp_path: Path) -> None:
    long = "x" * (MAX_TEXT_BYTES + 1)
    path = model_file("Tiny", pair("tokenizer.chat_template", scalar(fake.STRING, long))).write(
        tmp_path / "t.gguf"
    )
    header = read_header(path)
    assert header.metadata.text("tokenizer.chat_template") is None
    assert header.metadata._values["tokenizer.chat_template"].content == LongText(len(long))
    assert read_model_header(path).chat_template is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows would fill the disk with zeros")
def test_only_the_header_of_a_huge_file_is_read(tmp_path: Path) -> None:
    path = GgufFile(fake.model_pairs(), [Tensor("w", (1024, 1024, 1024, 4))], data=b"").write(
        tmp_path / "huge.gguf"
    )
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 16 * 1024**3)
    assert read_model_header(path).parameter_count == 4 * 1024**3


def test_without_a_named_mix_the_type_of_most_weights_counts(tmp_path: Path) -> None:
    pairs = [item for item in fake.model_pairs() if b"general.file_type" not in item]
    tensors = [Tensor("a", (32,), fake.F32), Tensor("b", (256, 4), fake.Q4_K)]
    assert read_model_header(GgufFile(pairs, tensors).write(tmp_path / "m.gguf")).quantisation == "Q4_K"


def test_kinds_of_files_are_told_apart(tmp_path: Path) -> None:
    kinds = {
        "adapter": (fake.adapter_file(), GgufKind.ADAPTER),
        "projector": (fake.projector_file(), GgufKind.PROJECTOR),
        "vocabulary": (GgufFile(fake.model_pairs()), GgufKind.VOCABULARY),
        "part": (fake.split_files(2)[1], GgufKind.PART),
        "imatrix": (GgufFile([pair("general.type", scalar(fake.STRING, "imatrix"))]), GgufKind.IMATRIX),
    }
    for name, (file, kind) in kinds.items():
        assert read_model_header(file.write(tmp_path / f"{name}.gguf")).kind is kind


STRANGERS = {
    b"": "is empty",
    b"GG": "of an unknown kind",
    b"\n<!DOCTYPE html><html>": "web page",
    b"<html><body>404": "web page",
    b'{"error": "Repository not found"}': "JSON text",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n": "Git LFS pointer",
    b"PK\x03\x04\x14\x00": "ZIP archive or a PyTorch checkpoint",
    struct.pack("<Q", 90) + b'{"__metadata__":{"format":"pt"}}': "safetensors",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": "PyTorch checkpoint",
    b"tjgg\x03\0\0\0": "from before GGUF",
    b"\x1f\x8b\x08\0": "gzip archive",
    bytes(1000): "filled with zeros",
    b"hello, I am a model": "of an unknown kind",
}


@pytest.mark.parametrize(("content", "said"), STRANGERS.items())
def test_a_file_that_is_no_gguf_is_told_by_its_looks(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert said in refusal(path)


def broken_files() -> Iterator[tuple[str, GgufFile, str]]:
    """Yield a name, a file with one defect, and what must be said about it."""
    yield "no version", GgufFile(version=0), "version 0"
    yield "version 1", GgufFile(version=1), "version 1"
    yield "version 99", GgufFile(version=99), "version 99"
    yield "big-endian", GgufFile(version=3 << 24), "big-endian"
    for count in (2**63, 2**64 - 1, 2**40, 10**6, 100):
        yield f"{count} tensors", GgufFile(fake.model_pairs(), tensor_count=count), "tensors"
        yield f"{count} pairs", GgufFile(pair_count=count), "metadata pairs"
    yield "more pairs than there are", _with(pair_count=16), ""

    yield "empty key", _with_pair(pair("", scalar(fake.UINT8, 1))), "a key of 0 bytes"
    yield "long key", _with_pair(pair("k" * 65_536, scalar(fake.UINT8, 1))), "a key of 65,536 bytes"
    yield "absurd key", _with_pair(struct.pack("<Q", 2**64 - 1) + b"key"), "a key of"
    yield "key twice", _with_pair(pair("general.name", scalar(fake.STRING, "again"))), "'general.name' twice"
    yield (
        "unknown value type",
        _with_pair(pair("key", struct.pack("<I", 13))),
        "'key' has the unknown type 13",
    )
    yield "negative value type", _with_pair(pair("key", struct.pack("<i", -1))), "unknown type"
    yield "list of lists", _with_pair(pair("key", array_head(fake.ARRAY, 1) + bytes(64))), "list of lists"
    yield "unknown list type", _with_pair(pair("key", array_head(77, 1) + bytes(64))), "unknown type 77"
    for element_type in (fake.UINT8, fake.FLOAT64, fake.STRING):
        for count in (1_000_000, 2**61, 2**64 - 1):
            head = array_head(element_type, count)
            yield f"list of {count} x {element_type}", _with_pair(pair("key", head)), ""
    yield (
        "absurd text",
        _with_pair(pair("key", struct.pack("<IQ", fake.STRING, 2**63) + b"text")),
        "cut short",
    )
    hostile = pair("\x1b[2J\n/etc\u202e", struct.pack("<I", 99))
    yield "key with control characters", _with_pair(hostile), "'?[2J?/etc?' has the unknown type"

    yield "tensor name too long", _with_tensor(Tensor("n" * 64)), "a tensor name of 64 bytes"
    yield "tensor without name", _with_tensor(Tensor("")), "a tensor name of 0 bytes"
    yield "tensor twice", _with_tensor(Tensor("token_embd.weight")), "'token_embd.weight' twice"
    yield "five dimensions", _with_tensor(Tensor("t", (32, 1, 1, 1, 1))), "5 dimensions"
    yield "a dimension of 0", _with_tensor(Tensor("t", (32, 0))), "dimension of 0"
    yield "a negative dimension", _with_tensor(Tensor("t", (32, 2**64 - 1), offset=0)), "overflow"
    yield "dimensions that overflow", _with_tensor(Tensor("t", (2**32, 2**32), offset=0)), "overflow"
    yield "bytes that overflow", _with_tensor(Tensor("t", (2**31, 2**31), offset=0)), "overflow"
    yield "unknown tensor type", _with_tensor(Tensor("t", type=200)), "unknown type 200"
    yield "removed tensor type", _with_tensor(Tensor("t", type=31)), "Q4_0_4_4"
    yield "broken blocks", _with_tensor(Tensor("t", (33, 2), fake.Q8_0, offset=0)), "rows of 33 elements"

    yield "an offset between", _with_tensor(Tensor("t", offset=5001)), "no multiple of the alignment"
    yield "an overlap", _with_tensor(Tensor("t", offset=0)), "overlaps"
    yield "a gap", _with_tensor(Tensor("t", offset=5312)), "a gap before"
    yield "an offset outside", _with_tensor(Tensor("t", offset=2**40)), "beyond the end"
    for alignment in (0, 1, 24, 2**31):
        value = pair("general.alignment", scalar(fake.UINT32, alignment))
        yield f"alignment {alignment}", _with_pair(value), "no power of two"
    wide = pair("general.alignment", scalar(fake.UINT64, 32))
    yield "alignment of another type", _with_pair(wide), "no 32-bit number"

    yield "no architecture", GgufFile(fake.vocabulary_pairs(), [Tensor("t")]), "architecture"
    yield "no tokenizer", GgufFile(fake.model_pairs()[:1], [Tensor("t")]), "no tokenizer"
    yield "short scores", _with_vocabulary("scores", array(fake.FLOAT32, [0.0] * 7)), "7 entries for 8 tokens"
    yield "scores of bytes", _with_vocabulary("scores", array(fake.UINT8, [0] * 8)), "no list of float32"
    yield "short types", _with_vocabulary("token_type", array(fake.INT32, [1])), "1 entries for 8 tokens"
    yield (
        "types that are a text",
        _with_vocabulary("token_type", scalar(fake.STRING, "1")),
        "no list of int32",
    )
    yield "tokens that are numbers", _with_vocabulary("tokens", array(fake.INT32, [1] * 8)), "no tokenizer"
    for count in (0, 513, 65_535, 2**31, 2**32 - 1):
        value = scalar(fake.UINT32, count)
        yield f"{count} blocks", _with_figure("block_count", value), f"'llama.block_count' is {count:,}"
    listed = _with_figure("block_count", array(fake.UINT32, [4_000_000_000]))
    yield "a list of block counts", listed, "'llama.block_count' is no number, not 1 to 512"
    for name in ("blk.512.ffn_up.weight", "blk.4000000000.attn_k.weight", f"enc.blk.{'9' * 40}.attn_v"):
        yield f"a tensor {name}", _with_tensor(Tensor(name, (32, 2))), "is of no block from 0 to 511"
    epsilon = "attention.layer_norm_rms_epsilon"
    for number in (math.nan, math.inf, -math.inf, -1.0):
        value = scalar(fake.FLOAT32, number)
        yield f"an epsilon of {number}", _with_figure(epsilon, value), f"'llama.{epsilon}' is {number}"
    for number in (5, 255, 2**31):
        value = scalar(fake.UINT32, number)
        yield f"pooling {number}", _with_figure("pooling_type", value), f"'llama.pooling_type' is {number:,}"
    yield "a scale of nan", _with_figure("rope.scaling.factor", scalar(fake.FLOAT64, math.nan)), "is nan"
    for ends in ((), (1,), (1, 8), (2**32 - 1, 2)):
        yield f"word pieces that end with {ends}", _with_word_pieces(*ends), "is none of its 8 tokens"
    merges = pair("tokenizer.ggml.merges", array(fake.INT32, [1]))
    yield "merges that are numbers", _with_pair(merges), "merges is no list of texts"


def test_ends_of_texts_that_are_tokens_are_sound(tmp_path: Path) -> None:
    assert read_model_header(_with_word_pieces(0, 7).write(tmp_path / "m.gguf")).tokenizer == "bert"


def _with(**lies: int) -> GgufFile:
    file = model_file()
    for name, value in lies.items():
        setattr(file, name, value)
    return file


def _with_pair(extra: bytes) -> GgufFile:
    return model_file("Tiny", extra)


def _with_tensor(extra: Tensor) -> GgufFile:
    file = model_file()
    file.data = bytes(sum(tensor.size_bytes for tensor in file.tensors) + 2048)
    file.tensors.append(extra)
    return file


def _with_vocabulary(name: str, value: bytes) -> GgufFile:
    key = f"tokenizer.ggml.{name}"
    pairs = [item for item in fake.model_pairs() if key.encode() not in item]
    return GgufFile([*pairs, pair(key, value)], [Tensor("t")])


def _with_figure(name: str, value: bytes) -> GgufFile:
    key = f"llama.{name}"
    pairs = [item for item in fake.model_pairs() if key.encode() not in item]
    return GgufFile([*pairs, pair(key, value)], [Tensor("t")])


def _with_word_pieces(*ends: int) -> GgufFile:
    keys = ("tokenizer.ggml.bos_token_id", "tokenizer.ggml.seperator_token_id")
    ids = [pair(key, scalar(fake.UINT32, number)) for key, number in zip(keys, ends, strict=False)]
    pairs = [item for item in fake.model_pairs() if b"tokenizer.ggml.model" not in item]
    return GgufFile([*pairs, pair("tokenizer.ggml.model", scalar(fake.STRING, "bert")), *ids], [Tensor("t")])


BROKEN = list(broken_files())


@pytest.mark.parametrize(("file", "said"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_file_is_refused_with_its_reason(tmp_path: Path, file: GgufFile, said: str) -> None:
    assert said in refusal(file.write(tmp_path / "model.gguf"))


def test_the_missing_bytes_of_a_cut_download_are_counted(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "model.gguf")
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    assert f"1,000 of its {len(content):,} bytes are missing" in refusal(path)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = model_file().write(tmp_path / "model.gguf")
    assert read_model_header(path).name == "Tiny Llama"
    with path.open("r+b") as file:
        for length in reversed(range(path.stat().st_size)):
            file.truncate(length)
            with pytest.raises(ModelLoadError):
                read_model_header(path)


def test_a_file_with_any_changed_bytes_gives_a_header_or_a_refusal(tmp_path: Path) -> None:
    file = model_file()
    header, path = file.header(), file.write(tmp_path / "model.gguf")
    dice = random.Random(20261120)
    messages = []
    with path.open("r+b", buffering=0) as target:
        for _ in range(4_000):
            changed = bytearray(header)
            for _ in range(dice.choice((1, 1, 1, 2, 8))):
                changed[dice.randrange(len(header))] = dice.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256))
                )
            target.seek(0)
            target.write(changed)
            try:
                read_model_header(path)
            except ModelLoadError as error:
                messages.append(error.message)
    assert len(messages) > 1_000
    assert not any(str(tmp_path) in message for message in messages)


def test_many_small_lists_take_bounded_memory(tmp_path: Path) -> None:
    numbers = array_head(fake.UINT64, 512) + struct.pack("<512Q", *range(2**60, 2**60 + 512))
    pairs = [pair("first", numbers), *(pair(f"k{number}", numbers) for number in range(2_000))]
    path = GgufFile([*pairs, pair("last", scalar(fake.UINT8, 7))]).write(tmp_path / "model.gguf")
    metadata = read_header(path).metadata
    first, late = metadata.array("first"), metadata.array("k1999")
    assert first is not None
    assert late is not None
    assert (first.items or ())[0] == 2**60
    assert (late.count, late.items, metadata.integer("last")) == (512, None, 7)
    kept = [array for key in metadata.keys() if (array := metadata.array(key)) and array.items]  # noqa: SIM118
    assert sum(array.count * 40 for array in kept) <= MAX_KEPT_BYTES


def test_keys_take_bounded_memory(tmp_path: Path) -> None:
    pairs = [pair(f"{number:05d}" + "k" * 60_000, scalar(fake.UINT8, 1)) for number in range(100)]
    path = GgufFile(pairs).write(tmp_path / "model.gguf")
    assert "its metadata is larger than that of any model" in refusal(path)


def test_lists_of_texts_are_bounded_in_number(tmp_path: Path) -> None:
    path = GgufFile([pair("key", array_head(fake.STRING, MAX_ARRAY_TEXTS + 1))]).write(
        tmp_path / "model.gguf"
    )
    assert f"'key' claims {MAX_ARRAY_TEXTS + 1:,} texts" in refusal(path)


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    endless = pair("key", struct.pack("<IQ", fake.STRING, 300 * 1024**2))
    path = GgufFile([endless, pair("b", scalar(fake.UINT8, 1))]).write(tmp_path / "model.gguf")
    with path.open("r+b") as file:
        file.truncate(300 * 1024**2 + 1000)
    assert "its header claims more than" in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").mkdir()
    assert "cannot be read" in refusal(tmp_path / "model.gguf")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_named_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    import os

    path = tmp_path / "model.gguf"
    os.mkfifo(path)
    assert "is not a regular file" in refusal(path)


def test_block_sizes_are_those_of_the_installed_llama_cpp() -> None:
    library = ctypes.CDLL(str(_ggml_library()))
    library.ggml_blck_size.restype = ctypes.c_int64
    library.ggml_type_size.restype = ctypes.c_size_t
    library.ggml_type_name.restype = ctypes.c_char_p
    for number, known in TENSOR_TYPES.items():
        name = library.ggml_type_name(number).decode().upper()
        assert (name, library.ggml_blck_size(number)) == (known.name, known.block_size)
        assert library.ggml_type_size(number) == known.block_bytes
    for number in REMOVED_TENSOR_TYPES:
        assert library.ggml_blck_size(number) == 0


def _ggml_library() -> Path:
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations))) / "lib"
    names = ("libggml-base.so", "libggml-base.dylib", "ggml-base.dll", "libggml-base.dll")
    return next(folder / name for name in names if (folder / name).exists())
