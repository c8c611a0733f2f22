"""A model with an adapter that is trained, row by row."""

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path

import llama_cpp
import numpy as np
from msgspec import Struct

from puna.llama import library
from puna.llama.model import LlamaError
from puna.llama.training import ggml
from puna.llama.training.copies import CopyType, TransposedCopies
from puna.llama.training.editor import GraphEditor
from puna.llama.training.ggml import Address, FloatArray, Tensor
from puna.llama.training.row import Row, RowScore
from puna.llama.training.survey import Matrix, Survey, Surveyor
from puna.llama.vocabulary import Vocabulary

_PROBE_TOKENS = 4
_FLOATS_WITHOUT_BACKWARD = frozenset((ggml.F16, ggml.BF16))
"""Types of weights for which ggml's CPU back end has no `OUT_PROD` at all."""
_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8

keep_frozen = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)(lambda _tensor, _data: False)
"""No weight of the base is a parameter. llama.cpp calls it once, but ctypes callbacks live as long as the process."""


class ModelFacts(Struct, frozen=True):
    """Of a base model, as llama.cpp tells them."""

    architecture: str
    n_parameters: int
    size_bytes: int
    n_ctx_train: int
    n_layer: int
    n_embd: int
    n_head: int
    n_vocab: int


class BaseModel:
    """The frozen weights. llama.cpp computes with them as they lie in the file: repacked ones have no backward pass."""

    def __init__(self, path: Path, *, on_progress: Callable[[float], None] = lambda _progress: None) -> None:
        """Load the file into the CPU's memory. Raises `LlamaError`."""
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.use_extra_bufts = False
        self._progress = llama_cpp.llama_progress_callback(
            lambda progress, _data: _report(on_progress, progress)
        )
        params.progress_callback = self._progress
        library.log.last_error = ""
        self.handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise LlamaError(library.log.last_error or "llama.cpp could not load the file")
        self.vocabulary = Vocabulary(llama_cpp.llama_model_get_vocab(self.handle))

    def close(self) -> None:
        """Free the weights. Idempotent; sessions of the model must be closed before."""
        if self.handle:
            llama_cpp.llama_model_free(self.handle)
            self.handle = None

    @property
    def facts(self) -> ModelFacts:
        """What is known of it."""
        handle = self.handle
        buffer = ctypes.create_string_buffer(256)
        llama_cpp.llama_model_meta_val_str(handle, b"general.architecture", buffer, 256)
        return ModelFacts(
            architecture=buffer.value.decode("utf-8", "replace"),
            n_parameters=int(llama_cpp.llama_model_n_params(handle)),
            size_bytes=int(llama_cpp.llama_model_size(handle)),
            n_ctx_train=int(llama_cpp.llama_model_n_ctx_train(handle)),
            n_layer=int(llama_cpp.llama_model_n_layer(handle)),
            n_embd=int(llama_cpp.llama_model_n_embd(handle)),
            n_head=int(llama_cpp.llama_model_n_head(handle)),
            n_vocab=self.vocabulary.n_tokens,
        )


class TrainingSession:
    """One context of one row's length. Made in three steps: the context, `attach` the adapter, `start`.

    Owned by one thread. It decodes for nothing else.
    """

    def __init__(self, model: BaseModel, *, n_ctx: int, n_threads: int) -> None:
        """Allocate the context; `n_ctx` must be a multiple of 256. Raises `LlamaError`."""
        ggml.check_layout()
        self._model = model
        self._editor = GraphEditor(n_threads)
        self.n_ctx = n_ctx
        self._n_threads = n_threads
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = n_ctx
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = n_threads
        params.flash_attn_type = 0
        params.offload_kqv = params.op_offload = False
        params.cb_eval = ctypes.cast(self._editor.callback, type(params.cb_eval))
        library.log.last_error = ""
        self._handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise LlamaError(library.log.last_error or "llama.cpp could not allocate the context")
        if llama_cpp.llama_n_ctx(self._handle) != n_ctx:
            raise LlamaError(
                f"llama.cpp made a context of {llama_cpp.llama_n_ctx(self._handle)} tokens, not {n_ctx}"
            )
        self._parameters: dict[str, Address] = {}
        self._optimizer = ggml.OptimizerParams(1e-3, _BETA1, _BETA2, _EPS, 0.0, 1e-3, 0.0)
        self._tokens = (llama_cpp.llama_token * n_ctx)()
        self.survey = self._look()

    def close(self) -> None:
        """Free the context. Idempotent; the model must still be there."""
        if self._handle:
            llama_cpp.llama_free(self._handle)
            self._handle = None

    def attach(self, adapter: Path) -> None:
        """Load an adapter in GGUF and make its tensors the parameters. Raises `LlamaError`."""
        library.log.last_error = ""
        self._adapter = llama_cpp.llama_adapter_lora_init(self._model.handle, str(adapter).encode())
        if not self._adapter:
            raise LlamaError(library.log.last_error or "llama.cpp could not load the adapter")
        handles = (ctypes.c_void_p * 1)(ggml.address_of(self._adapter))
        scales = (ctypes.c_float * 1)(1.0)
        context = ggml.address_of(self._handle)
        if ggml.set_adapters(context, ctypes.addressof(handles), 1, ctypes.addressof(scales)):
            raise LlamaError("llama.cpp refused the adapter")
        self._parameters = self._look().adapter
        for address in self._parameters.values():
            ggml.set_param(address)

    def start(self, copy_type: CopyType | None) -> None:
        """Prepare the optimizer; `copy_type` says how transposed copies of weights are kept, None makes none.

        Without copies a step costs several times as much, and weights in F16 or BF16 cannot be trained on.
        """
        self._editor.copies = TransposedCopies(copy_type)
        if copy_type is not None:
            self._disguise()
        params = ggml.OptParams(
            0,
            ctypes.cast(keep_frozen, ctypes.c_void_p),
            None,
            ctypes.cast(ggml.constant_optimizer, ctypes.c_void_p),
            ctypes.addressof(self._optimizer),
            ggml.ADAMW,
        )
        ggml.opt_init(ggml.address_of(self._handle), ggml.address_of(self._model.handle), params)
        self._dataset = ggml.dataset_init(ggml.I32, ggml.I32, self.n_ctx, self.n_ctx, 1, 1)
        self._data = Tensor.from_address(ggml.dataset_data(self._dataset))
        self._labels = Tensor.from_address(ggml.dataset_labels(self._dataset))
        # llama_opt_init makes a new scheduler; a decode of a whole row gives it the eval callback.
        self.decode([0] * self.n_ctx)
        self._rehearse()

    def _rehearse(self) -> None:
        """Compute a step that changes nothing: the copies are made, and the editor has seen the graph."""
        zeros, ones = np.zeros(self.n_ctx, np.int32), np.ones(self.n_ctx, np.bool_)
        self._run(Row(zeros, zeros, ones, zeros, np.arange(self.n_ctx, dtype=np.int32)), optimizer=None)

    def decode(self, tokens: list[int]) -> None:
        """Compute these tokens alone and forget them. Raises `LlamaError`."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._handle), True)
        array = np.asarray(tokens, np.int32)  # a name of its own, or it is gone before it is copied
        ctypes.memmove(self._tokens, array.ctypes.data, array.nbytes)
        batch = llama_cpp.llama_batch_get_one(self._tokens, len(tokens))
        if llama_cpp.llama_decode(self._handle, batch):
            raise LlamaError(library.log.last_error or "llama.cpp could not compute the model")
        llama_cpp.llama_synchronize(self._handle)

    def set_threads(self, n_threads: int) -> None:
        """Use so many threads from now on; a change costs a forward pass. After `start`.

        llama.cpp hands the number to its back end in a decode alone, and trains with what the last one left there.
        """
        if n_threads != self._n_threads:
            self._n_threads = self._editor.products.threads = n_threads
            llama_cpp.llama_set_n_threads(self._handle, n_threads, n_threads)
            self.decode([0] * self.n_ctx)

    def step(
        self,
        row: Row,
        *,
        number: int,
        learning_rate: float,
        weight_decay: float = 0.0,
        gradient_scale: float = 1.0,
    ) -> RowScore:
        """Train on a row and return what the model made of it before. `number` counts all steps from 1."""
        self._optimizer.alpha, self._optimizer.wd = learning_rate, weight_decay
        return self._run(row, optimizer=self._optimizer, number=number, gradient_scale=gradient_scale)

    def evaluate(self, row: Row) -> RowScore:
        """Return what the model makes of a row; nothing is changed."""
        return self._run(row, is_training=False, optimizer=None)

    def _run(
        self,
        row: Row,
        *,
        optimizer: ggml.OptimizerParams | None,
        is_training: bool = True,
        number: int = 1,
        gradient_scale: float = 1.0,
    ) -> RowScore:
        for tensor, values in ((self._data, row.tokens), (self._labels, row.labels)):
            array = np.ascontiguousarray(values, np.int32)
            ctypes.memmove(tensor.data, array.ctypes.data, array.nbytes)
        self._editor.begin(row, gradient_scale=gradient_scale, optimizer=optimizer, step=number)
        ggml.opt_epoch(ggml.address_of(self._handle), self._dataset, None, None, int(is_training), None, None)
        self._editor.end()
        if self._editor.row_score is None:
            raise LlamaError("llama.cpp computed no loss")
        return self._editor.row_score

    @property
    def copies_bytes(self) -> int:
        """Memory of the transposed copies made so far."""
        return self._editor.copies.size_bytes

    def read_adapter(self) -> dict[str, FloatArray]:
        """Return copies of the adapter's tensors, as `name -> (rows, width)`."""
        return {name: ggml.read(address) for name, address in self._parameters.items()}

    def read_moments(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Return copies of the optimizer's first and second moments; empty before the first step."""
        return {
            name: (ggml.read(moments.m), ggml.read(moments.v))
            for name, moments in self._editor.moments.items()
        }

    def write_moments(self, moments: Mapping[str, tuple[FloatArray, FloatArray]]) -> None:
        """Let the next step begin with these. Before the first step."""
        self._editor.saved_moments = dict(moments)

    def _disguise(self) -> None:
        """Let graphs be built as if F16 weights were F32.

        ggml's scheduler refuses an `OUT_PROD` with an F16 operand, although the editor replaces each one before it
        is computed. The editor puts the real type back at the first node, before anything is.
        """
        self._editor.disguised = {
            matrix.address: (matrix.tensor_type, ggml.F32)
            for matrix in self.survey.matrices.values()
            if matrix.tensor_type in _FLOATS_WITHOUT_BACKWARD
        }

    def _look(self) -> Survey:
        self._editor.surveyor = surveyor = Surveyor()
        try:
            self.decode([0] * _PROBE_TOKENS)
        finally:
            self._editor.surveyor = None
        if self._editor.error is not None:
            raise self._editor.error
        return surveyor.survey


def needs_copies(matrices: Mapping[str, Matrix]) -> bool:
    """Return whether some weights cannot be trained on without transposed copies."""
    return any(matrix.tensor_type in _FLOATS_WITHOUT_BACKWARD for matrix in matrices.values())


def fast_copy_type() -> CopyType:
    """Return how this machine multiplies with 16-bit weights fastest."""
    features = llama_cpp.llama_print_system_info().decode("utf-8", "replace")
    return CopyType.BF16 if "AVX512_BF16 = 1" in features else CopyType.F16


def _report(on_progress: Callable[[float], None], progress: float) -> bool:
    on_progress(progress)
    return True
