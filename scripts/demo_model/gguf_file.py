"""The network and its tokenizer as a GGUF file, with the keys that llama.cpp's own converter writes."""

from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_VERSION, GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize

from demo_model.markup import CHAT_TEMPLATE, CONTROL_TOKENS, END_OF_TEXT, IM_END
from demo_model.network import Network
from demo_model.tokenizer import Tokenizer

FILE_TYPES = {
    "q8_0": (LlamaFileType.MOSTLY_Q8_0, GGMLQuantizationType.Q8_0),
    "f32": (LlamaFileType.ALL_F32, GGMLQuantizationType.F32),
}
BLOCK_TENSORS = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.output": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}


def write_gguf(
    path: Path, network: Network, tokenizer: Tokenizer, *, file_type: str, description: str
) -> None:
    """Write the file under a temporary name and move it into place: a reader never sees a part of it."""
    partial = path.with_name(f"{path.name}.part")
    writer = GGUFWriter(partial, "llama")
    _add_general(writer, network, file_type, description)
    _add_shape(writer, network)
    _add_tokenizer(writer, tokenizer)
    _add_tensors(writer, network, file_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def describe_size(parameters: int) -> str:
    """Return the number of parameters as a size label, such as ``5.5M``."""
    return f"{parameters / 1e6:.1f}M"


def _add_general(writer: GGUFWriter, network: Network, file_type: str, description: str) -> None:
    writer.add_type("model")
    writer.add_name("Puna demo")
    writer.add_basename("puna-demo")
    writer.add_description(description)
    writer.add_license("MIT")
    writer.add_size_label(describe_size(network.count_parameters()))
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "demo"])
    writer.add_file_type(FILE_TYPES[file_type][0])
    writer.add_quantization_version(GGML_QUANT_VERSION)


def _add_shape(writer: GGUFWriter, network: Network) -> None:
    shape = network.shape
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    vocabulary = tokenizer.describe()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(
        [TokenType.CONTROL if token in CONTROL_TOKENS else TokenType.NORMAL for token in vocabulary.tokens]
    )
    writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(tokenizer.find(END_OF_TEXT))
    writer.add_eos_token_id(tokenizer.find(END_OF_TEXT))
    writer.add_eot_token_id(tokenizer.find(IM_END))
    writer.add_pad_token_id(tokenizer.find(END_OF_TEXT))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_tensors(writer: GGUFWriter, network: Network, file_type: str) -> None:
    for name, parameter in network.named_parameters():
        values = parameter.detach().numpy().astype(np.float32)
        kind = FILE_TYPES[file_type][1] if values.ndim > 1 else GGMLQuantizationType.F32
        writer.add_tensor(translate_tensor_name(name), quantize(values, kind), raw_dtype=kind)


def translate_tensor_name(name: str) -> str:
    """Return llama.cpp's name of one of the network's parameters."""
    match name.split("."):
        case ["embedding", "weight"]:
            return "token_embd.weight"
        case ["norm", "weight"]:
            return "output_norm.weight"
        case ["blocks", number, *part, "weight"]:
            return f"blk.{number}.{BLOCK_TENSORS['.'.join(part)]}.weight"
        case _:
            raise ValueError(f"no GGUF name for the parameter {name}")
