"""The demo model without its ends: it tells on until a limit, so that a test can meet it in the midst of a text."""

import struct
from pathlib import Path

from puna.paths import Paths

_ENDS = {b"<|im_end|>": b"<|im_on_|>", b"<|endoftext|>": b"<|goes_on__|>"}
"""llama.cpp knows ends by their text, whatever the header says."""
_ROLES = (b"tokenizer.ggml.eos_token_id", b"tokenizer.ggml.eot_token_id")
_NEVER = 190
"""The token of the byte 0xFF, which no UTF-8 has."""
_TYPE_BYTES = 4


def make_endless_model(folder: Path) -> Path:
    """Write the model and return its file; every change keeps the length, so that all offsets hold."""
    data = bytearray(Paths.under(folder).demo_model.read_bytes())
    for end, other in _ENDS.items():
        assert len(end) == len(other)
        data = data.replace(end, other)
    for role in _ROLES:
        struct.pack_into("<I", data, data.index(role) + len(role) + _TYPE_BYTES, _NEVER)
    path = folder / "endless.gguf"
    path.write_bytes(data)
    return path
