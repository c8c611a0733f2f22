"""A context: the cache of keys and values, and the decode call."""

import ctypes
from enum import IntEnum
from typing import final

import llama_cpp
import numpy as np

from puna.llama import library
from puna.llama.abort_flag import AbortFlag
from puna.llama.adapter import Adapter
from puna.llama.batch import Batch
from puna.llama.model import LlamaError, Model
from puna.llama.pooling import Pooling

Logits = np.ndarray[tuple[int], np.dtype[np.float32]]
Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
_ABORTED = 2


@final
class DecodeResult(IntEnum):
    """What a decode came to."""

    OK = 0
    NO_CELLS = 1
    """No room for the batch; the cache is as before."""
    ABORTED = 2
    """The abort flag was up; a part of the batch may be in the cache."""
    FAILED = 3
    """llama.cpp refused the batch or could not compute it; a part of it may be in the cache."""


class Context:
    """One unified cache for all sequences of a model. Owned by one thread, but for `abort_flag`."""

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq_max: int,
        n_threads: int,
        n_outputs_max: int | None = None,
        pooling: Pooling | None = None,
    ) -> None:
        """Allocate the cache and the compute buffers; with `pooling` it computes vectors, without it logits.

        `n_outputs_max` tokens of a batch have outputs at most, None one for each sequence; of each, llama.cpp keeps
        logits in any case. Raises `LlamaError` when memory does not allow it.
        """
        self.abort_flag = AbortFlag()
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = n_batch
        params.n_seq_max = n_seq_max
        params.n_outputs_max = n_outputs_max or n_seq_max
        if pooling is not None:
            params.embeddings = True
            params.pooling_type = pooling
        params.n_threads = params.n_threads_batch = n_threads
        params.kv_unified = True
        params.abort_callback = self.abort_flag.callback
        params.abort_callback_data = self.abort_flag.data
        library.log.last_error = ""
        self.handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise LlamaError(library.log.last_error or "llama.cpp could not allocate the context")
        self._n_threads = n_threads
        self._adapter: Adapter | None = None
        self._memory = llama_cpp.llama_get_memory(self.handle)

    def close(self) -> None:
        """Free the cache. Idempotent; samplers outlive it, the model must."""
        if self.handle:
            llama_cpp.llama_free(self.handle)
            self.handle = None

    @property
    def n_ctx(self) -> int:
        """Cells of the cache, padded by llama.cpp."""
        return int(llama_cpp.llama_n_ctx(self.handle))

    def use_adapter(self, adapter: Adapter | None) -> None:
        """Compute with this adapter, or with the model alone, from the next decode on. Raises `LlamaError`."""
        if adapter is self._adapter:
            return
        handles = (llama_cpp.llama_adapter_lora_p_ctypes * 1)()
        scales = (ctypes.c_float * 1)(1.0)
        if adapter is not None:
            handles[0] = ctypes.cast(adapter.handle, llama_cpp.llama_adapter_lora_p_ctypes)
        count = 0 if adapter is None else 1
        if llama_cpp.llama_set_adapters_lora(self.handle, handles, count, scales) != 0:
            raise LlamaError("llama.cpp could not use the adapter")
        self._adapter = adapter

    def forget_adapter(self, adapter: Adapter) -> None:
        """Let go of an adapter that is about to be freed."""
        if adapter is self._adapter:
            self.use_adapter(None)

    def set_threads(self, n_threads: int) -> None:
        """Use so many threads from the next decode on."""
        if n_threads != self._n_threads:
            self._n_threads = n_threads
            llama_cpp.llama_set_n_threads(self.handle, n_threads, n_threads)

    def decode(self, batch: Batch) -> DecodeResult:
        """Compute the batch; releases the interpreter lock meanwhile."""
        code: int = llama_cpp.llama_decode(self.handle, batch.struct)
        return DecodeResult(code) if 0 <= code <= _ABORTED else DecodeResult.FAILED

    def synchronize(self) -> None:
        """Wait until the last decode is computed; GPUs return from `decode` before."""
        llama_cpp.llama_synchronize(self.handle)

    def forbid(self, index: int, is_forbidden: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> None:
        """Make tokens impossible in the logits of batch entry `index`; the array has one entry for each token."""
        np.copyto(self.logits(index, is_forbidden.size), -np.inf, where=is_forbidden)

    def logits(self, index: int, n_vocab: int) -> Logits:
        """Return a view of the logits of batch entry `index`, valid until the next decode."""
        pointer = llama_cpp.llama_get_logits_ith(self.handle, index)
        view: Logits = np.ctypeslib.as_array(pointer, shape=(n_vocab,))
        return view

    def pooled(self, sequence: int, size: int) -> Vector:
        """Return a copy of what the last decode pooled of a sequence: its vector, or the outputs of its classifier.

        `size` is `Model.n_embd_out`, or `Model.n_cls_out` with `Pooling.RANK`. Raises `LlamaError` without one.
        """
        pointer = llama_cpp.llama_get_embeddings_seq(self.handle, sequence)
        if not pointer:
            raise LlamaError("llama.cpp has no vector for the sequence")
        view: Vector = np.ctypeslib.as_array(pointer, shape=(size,))
        return view.copy()

    def set_pooling(self, *, is_on: bool) -> None:
        """Make every token of the next batches an output that is pooled, or (off) those alone that want logits."""
        llama_cpp.llama_set_embeddings(self.handle, is_on)

    def clear(self) -> None:
        """Free all cells; models that keep none have nothing to free."""
        if self._memory:
            llama_cpp.llama_memory_clear(self._memory, False)

    def copy_sequence(self, source: int, target: int, length: int) -> None:
        """Share the first `length` cells of a sequence with an empty one; nothing is computed or moved."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def trim_sequence(self, sequence: int, length: int) -> bool:
        """Drop all cells from position `length` on; False where the model cannot (recurrent state)."""
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def first_position(self, sequence: int) -> int:
        """Return from which position on all cells of a sequence are there; -1 for an empty one.

        Where layers have a sliding window, llama.cpp uses their cells anew once they have left it.
        """
        return int(llama_cpp.llama_memory_seq_pos_min(self._memory, sequence))

    def drop_sequence(self, sequence: int) -> None:
        """Free all cells that only this sequence holds."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
