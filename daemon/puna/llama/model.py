"""A loaded model: its weights, its metadata and its vocabulary."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import llama_cpp

from puna.llama import library
from puna.llama.pooling import Pooling
from puna.llama.vocabulary import Vocabulary

_TEXT_BYTES = 512
_ALL_LAYERS = -1


class LlamaError(Exception):
    """llama.cpp refused a call; the message is its own last error where there is one."""


class Model:
    """The weights of one GGUF. Not bound to a thread; its vocabulary may be used by several at once."""

    def __init__(
        self,
        path: Path,
        *,
        n_gpu_layers: int | None = None,
        on_progress: Callable[[float], None] = lambda _progress: None,
    ) -> None:
        """Load the file; `n_gpu_layers` None puts all layers on the GPU where there is one.

        Raises `LlamaError` when llama.cpp cannot load it. `on_progress` gets 0 to 1.
        """
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = _ALL_LAYERS if n_gpu_layers is None else n_gpu_layers
        callback = llama_cpp.llama_progress_callback(lambda progress, _data: _report(on_progress, progress))
        params.progress_callback = callback
        library.log.last_error = ""
        self.handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise LlamaError(library.log.last_error or "llama.cpp could not load the file")
        self.vocabulary = Vocabulary(llama_cpp.llama_model_get_vocab(self.handle))

    def close(self) -> None:
        """Free the weights. Idempotent; contexts of the model must be closed before."""
        if self.handle:
            llama_cpp.llama_model_free(self.handle)
            self.handle = None

    def metadata(self, key: str, *, max_bytes: int = _TEXT_BYTES) -> str | None:
        """Return a metadata value as text, cut at `max_bytes`; None when the key is absent."""
        buffer = ctypes.create_string_buffer(max_bytes)
        size: int = llama_cpp.llama_model_meta_val_str(self.handle, key.encode(), buffer, max_bytes)
        return None if size < 0 else buffer.value.decode("utf-8", "replace")

    @property
    def architecture(self) -> str:
        """`general.architecture`."""
        return self.metadata("general.architecture") or "unknown"

    @property
    def description(self) -> str:
        """llama.cpp's own line on type, size and quantisation."""
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        llama_cpp.llama_model_desc(self.handle, buffer, _TEXT_BYTES)
        return buffer.value.decode("utf-8", "replace")

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return int(llama_cpp.llama_model_n_params(self.handle))

    @property
    def size_bytes(self) -> int:
        """Size of all tensors."""
        return int(llama_cpp.llama_model_size(self.handle))

    @property
    def n_ctx_train(self) -> int:
        """Tokens that the model was trained for."""
        return int(llama_cpp.llama_model_n_ctx_train(self.handle))

    @property
    def n_layer(self) -> int:
        """Number of transformer blocks."""
        return int(llama_cpp.llama_model_n_layer(self.handle))

    def chat_template(self, name: str | None = None) -> str | None:
        """Return the model's own Jinja template, the default one or a further one such as `tool_use`, if it has it."""
        encoded = None if name is None else name.encode()
        text: bytes | None = llama_cpp.llama_model_chat_template(self.handle, encoded)
        return None if text is None else text.decode("utf-8", "replace")

    @property
    def pooling(self) -> Pooling | None:
        """How the file says that the vectors of an input become one; None where it says nothing."""
        text = self.metadata(f"{self.architecture}.pooling_type") or ""
        known = {str(pooling.value): pooling for pooling in Pooling}
        return known.get(text)

    @property
    def pools_last(self) -> bool:
        """Whether it reads from left to right and only the last token of an input makes its vector.

        Of rerankers those of Qwen3 do (`build_pooling` in llama-graph.cpp).
        """
        if self.metadata(f"{self.architecture}.attention.causal") == "false":
            return False
        is_last_ranked = self.pooling is Pooling.RANK and self.architecture in {"qwen3", "qwen3vl"}
        return self.pooling is Pooling.LAST or is_last_ranked

    @property
    def n_embd_out(self) -> int:
        """Components of the vector of an input."""
        return int(llama_cpp.llama_model_n_embd_out(self.handle))

    @property
    def n_cls_out(self) -> int:
        """Outputs of the classifier, of a reranker."""
        return int(llama_cpp.llama_model_n_cls_out(self.handle))

    @property
    def has_encoder(self) -> bool:
        """Whether it encodes its input apart from decoding, as T5 does; BERT and its kin do not count."""
        return bool(llama_cpp.llama_model_has_encoder(self.handle))

    @property
    def can_trim(self) -> bool:
        """Whether the tail of a sequence can be dropped; recurrent state cannot be rewound."""
        return not (
            llama_cpp.llama_model_is_recurrent(self.handle) or llama_cpp.llama_model_is_hybrid(self.handle)
        )

    @property
    def window(self) -> int:
        """Tokens that layers with a sliding window look back; 0 where none has one."""
        return int(llama_cpp.llama_model_n_swa(self.handle))

    @property
    def is_decoder(self) -> bool:
        """Whether it generates text by itself; encoders and encoder-decoders do not."""
        return bool(llama_cpp.llama_model_has_decoder(self.handle)) and not llama_cpp.llama_model_has_encoder(
            self.handle
        )


def _report(on_progress: Callable[[float], None], progress: float) -> bool:
    on_progress(progress)
    return True
