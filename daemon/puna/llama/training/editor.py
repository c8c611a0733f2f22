"""Changes llama.cpp's training graph while it is computed: the callback that sees each node first.

The scheduler asks about a run of nodes before it computes them, so that what is changed at `ask` is what is
computed; where the answer is True it computes up to that node and calls again. All inputs of the graph are filled
before the first question, and all nodes of the forward pass are computed before the backward pass is asked about,
because the answer at the loss is True.
"""

import ctypes
from collections.abc import Callable

import numpy as np

from puna.llama.training import ggml
from puna.llama.training.copies import TransposedCopies
from puna.llama.training.ggml import FLAG_PARAM, Address, FloatArray, OptimizerParams, Tensor
from puna.llama.training.head import NarrowHead
from puna.llama.training.products import Product, Products
from puna.llama.training.row import Row, RowScore, score
from puna.llama.training.survey import WATCHED, Surveyor

EvalCallback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p)
_ADAM_NODE, _ADAM_GRADIENT, _ADAM_M, _ADAM_V, _ADAM_PARAMS = range(5)
"""The sources of an `OPT_STEP_ADAMW`."""
_LAST_NORM, _LOGITS = b"result_norm", b"result_output"
"""llama.cpp's names."""
_SHORT_SUM = 32
"""Products over fewer elements than this have no fast kernel in ggml."""

After = Callable[[], None]


class Moments:
    """Where the optimizer keeps what it knows of one parameter."""

    def __init__(self, node: Tensor) -> None:
        gradient = Tensor.from_address(node.src[_ADAM_GRADIENT])
        self._gradient: Address = gradient.data
        self._size_bytes = int(np.prod(gradient.ne)) * 4
        self.m: Address = node.src[_ADAM_M]
        self.v: Address = node.src[_ADAM_V]

    def clear_gradient(self) -> None:
        """Let the next step's gradient begin at zero.

        ggml adds each gradient to what lies there, and with one row a step it never clears it.
        """
        ctypes.memset(self._gradient, 0, self._size_bytes)


class GraphEditor:
    """Owns the callback, which must outlive the context. Used by the thread that owns the context."""

    def __init__(self, n_threads: int) -> None:
        self.products = Products(n_threads)
        self.callback = EvalCallback(self._on_node)
        self.surveyor: Surveyor | None = None
        """Sees all nodes and changes none, while it is set."""
        self.copies = TransposedCopies(None)
        self.disguised: dict[Address, tuple[int, int]] = {}
        """Weights that the graph was built with another type for: their real type, and the other."""
        self.moments: dict[str, Moments] = {}
        self.saved_moments: dict[str, tuple[FloatArray, FloatArray]] = {}
        """What the optimizer shall begin with, until it has."""
        self.error: BaseException | None = None
        self.row_score: RowScore | None = None
        self._ops = ggml.number_ops(WATCHED)
        self._row: Row | None = None
        self._gradient_scale = 1.0
        self._optimizer: OptimizerParams | None = None
        self._step = 1
        self._seen_inputs: set[Address] = set()
        self._head = NarrowHead()
        self._after: After | None = None
        self._edits: dict[int, Callable[[Tensor], bool]] = {
            self._ops["OUT_PROD"]: self._replace_outer_product,
            self._ops["MUL_MAT"]: self._edit_product,
            self._ops["ROPE"]: self._restart_positions,
            self._ops["SOFT_MAX"]: self._separate_samples,
            self._ops["CROSS_ENTROPY_LOSS"]: self._take_score,
            self._ops["CROSS_ENTROPY_LOSS_BACK"]: self._mask_gradient,
            self._ops["OPT_STEP_ADAMW"]: self._prepare_step,
        }

    def begin(self, row: Row, *, gradient_scale: float, optimizer: OptimizerParams | None, step: int) -> None:
        """Edit the next graph for this row; `step` counts from 1 over the whole training, resumed ones too.

        Without an optimizer gradients are computed and nothing is changed.
        """
        self._row, self._gradient_scale = row, gradient_scale
        self._optimizer, self._step = optimizer, step
        self._seen_inputs.clear()
        self._head.begin()
        self.row_score = self._after = self.error = None
        for address, (_, other) in self.disguised.items():
            Tensor.from_address(address).type = other

    def end(self) -> None:
        """Leave graphs alone again, with the accumulated gradients at zero. Raises what went wrong in the callback."""
        self._row = None
        self._reveal()
        for moments in self.moments.values():
            moments.clear_gradient()
        if self.error is not None:
            raise self.error

    def _on_node(self, address: Address, is_question: bool, _data: object) -> bool:
        try:
            if self.surveyor is not None:
                if is_question:
                    self.surveyor.see(Tensor.from_address(address))
                return not is_question
            if not is_question:
                return self._finish_node()
            if self._row is None:
                return False
            if self.disguised:
                self._reveal()
            node = Tensor.from_address(address)
            edit = self._edits.get(node.op)
            if edit is not None:
                return edit(node)
            return node.name == _LAST_NORM and self._watch_norm(node)
        except BaseException as error:  # noqa: BLE001 - nothing may be raised through C
            self.error = self.error or error
            return not is_question

    def _finish_node(self) -> bool:
        if self._after is not None:
            self._after()
            self._after = None
        return True

    def _reveal(self) -> None:
        for address, (real, _) in self.disguised.items():
            Tensor.from_address(address).type = real

    def _replace_outer_product(self, node: Tensor) -> bool:
        """Put a product with a transposed copy, or numpy's, in the place of ggml's row by row."""
        left, right = Tensor.from_address(node.src[0]), Tensor.from_address(node.src[1])
        if left.name.endswith(b".weight") and not left.flags & FLAG_PARAM:
            weight: Address = node.src[0]
            copy = self.copies.find(weight, left)
            if copy is not None:
                node.src[0], node.src[1], node.op = copy, right.src[0], self._ops["MUL_MAT"]
                ctypes.memset(ctypes.addressof(node.op_params), 0, ctypes.sizeof(node.op_params))
                if not self._head.see_backward(node, weight, right.src[0]):
                    return False
                self._after = lambda: self._head.widen(node)
                return True
        if not left.type == right.type == ggml.F32:
            return False
        return self._compute_outside(node, self.products.outer(node, left, right))

    def _watch_norm(self, node: Tensor) -> bool:
        """Have the last norm computed before the logits are asked about."""
        self._head.see_norm(node)
        return True

    def _edit_product(self, node: Tensor) -> bool:
        left = Tensor.from_address(node.src[0])
        if node.name == _LOGITS and self._row is not None:
            self._head.see_product(node, self._row)
            return False
        if left.ne[0] >= _SHORT_SUM or left.type != ggml.F32:
            return False
        right = Tensor.from_address(node.src[1])
        return self._compute_outside(node, self.products.inner(node, left, right))

    def _compute_outside(self, node: Tensor, product: Product) -> bool:
        """Make ggml skip the node, and compute it when all before it is there."""
        node.op = self._ops["NONE"]
        self._after = product
        return True

    def _restart_positions(self, node: Tensor) -> bool:
        """Let each sample count its positions from 0, for its first use in the graph and so for all."""
        if self._is_new_input(node.src[1]) and self._row is not None:
            positions = ggml.integers(Tensor.from_address(node.src[1]))
            positions[0, 0, 0, :] = np.tile(
                self._row.positions, positions.shape[3] // len(self._row.positions)
            )
        return False

    def _separate_samples(self, node: Tensor) -> bool:
        """Hide the samples of a row from each other in the mask of the attention."""
        if node.src[1] and self._is_new_input(node.src[1]) and self._row is not None:
            mask = ggml.floats(Tensor.from_address(node.src[1]))
            mask[..., self._row.is_apart] = -np.inf
        return False

    def _is_new_input(self, address: Address) -> bool:
        is_new = address not in self._seen_inputs
        self._seen_inputs.add(address)
        return is_new

    def _take_score(self, node: Tensor) -> bool:
        logits = Tensor.from_address(node.src[0])
        self._head.see_labels(Tensor.from_address(node.src[1]))
        self._after = lambda: self._keep_score(logits)
        return True

    def _keep_score(self, logits: Tensor) -> None:
        assert self._row is not None
        lines = ggml.floats(logits)[0, 0]
        self.row_score = score(lines if self._head.is_narrow else lines[self._row.counted], self._row)
        self._head.leave_forward()

    def _mask_gradient(self, node: Tensor) -> bool:
        self._head.see_gradient(node)
        self._after = lambda: self._keep_gradient(node)
        return True

    def _keep_gradient(self, node: Tensor) -> None:
        """Take the gradient from the positions that do not count: what they hold then influences nothing."""
        assert self._row is not None
        gradient = ggml.floats(node)[0, 0]
        if self._head.is_narrow:
            # ggml divided by the rows that it saw.
            gradient *= self._gradient_scale * len(gradient) / len(self._row.tokens)
            return
        gradient[~self._row.is_counted] = 0
        gradient[self._row.counted] *= self._gradient_scale

    def _prepare_step(self, node: Tensor) -> bool:
        """Give the optimizer what belongs to this step of the whole training, and remember where it keeps its own."""
        name = Tensor.from_address(node.src[_ADAM_NODE]).name.decode()
        self.moments[name] = moments = Moments(node)
        if self._optimizer is None:
            node.op = self._ops["NONE"]
            return False
        if (saved := self.saved_moments.pop(name, None)) is not None:
            ggml.write(moments.m, saved[0])
            ggml.write(moments.v, saved[1])
        given = self._optimizer
        if self._is_new_input(node.src[_ADAM_PARAMS]):
            corrections = (1 / (1 - given.beta1**self._step), 1 / (1 - given.beta2**self._step))
            values = (given.alpha, given.beta1, given.beta2, given.eps, given.wd, *corrections)
            ggml.floats(Tensor.from_address(node.src[_ADAM_PARAMS]))[0, 0, 0, :] = values
        return False
