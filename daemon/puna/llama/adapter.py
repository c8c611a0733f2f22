"""A LoRA adapter, loaded beside the model that it was made for."""

from pathlib import Path

import llama_cpp

from puna.llama import library
from puna.llama.model import LlamaError, Model


class Adapter:
    """The weights of one adapter file. Owned by the thread of the context that uses it."""

    def __init__(self, model: Model, path: Path) -> None:
        """Load the file. Raises `LlamaError` when it is none, or does not fit the model."""
        library.log.last_error = ""
        self.handle = llama_cpp.llama_adapter_lora_init(model.handle, str(path).encode())
        if not self.handle:
            raise LlamaError(library.log.last_error or "llama.cpp could not load the adapter")

    def close(self) -> None:
        """Free the weights. Idempotent; no context may use it any more, and the model must still be there."""
        if self.handle:
            llama_cpp.llama_adapter_lora_free(self.handle)
            self.handle = None
