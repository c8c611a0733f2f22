"""What a model's graph is made of, and whether it can be trained. Pure but for reading the graph's nodes."""

from msgspec import Struct, field

from puna.llama.training import ggml
from puna.llama.training.ggml import Address, Tensor

_WITH_BACKWARD = frozenset(
    {
        *(
            "NONE",
            "ADD",
            "ADD1",
            "SUB",
            "MUL",
            "DIV",
            "SQR",
            "SQRT",
            "LOG",
            "SIN",
            "COS",
            "SUM",
            "SUM_ROWS",
            "MEAN",
        ),
        *("REPEAT", "RMS_NORM", "MUL_MAT", "SCALE", "CPY", "CONT", "RESHAPE", "VIEW", "PERMUTE", "TRANSPOSE"),
        *("GET_ROWS", "DIAG_MASK_INF", "SOFT_MAX", "ROPE"),
    }
)
"""Operations that `ggml_compute_backward` (ggml.c) knows."""
_BEFORE_TRAINING = frozenset(("SET_ROWS",))
"""Writes to the cache of keys and values, which training leaves out."""
_UNARY_WITH_BACKWARD = frozenset(("ABS", "SGN", "NEG", "STEP", "RELU", "SILU", "EXP", "EXPM1", "SOFTPLUS"))
_GLU_WITH_BACKWARD = "SWIGLU"
WATCHED = (
    "NONE",
    "MUL_MAT",
    "OUT_PROD",
    "ROPE",
    "SOFT_MAX",
    "CROSS_ENTROPY_LOSS",
    "CROSS_ENTROPY_LOSS_BACK",
    "OPT_STEP_ADAMW",
    "UNARY",
    "GLU",
)
"""Operations that are told apart by name somewhere in this package."""


class Matrix(Struct, frozen=True):
    """A frozen weight that the model multiplies with; `width` and `rows` are its inputs and outputs."""

    name: str
    address: Address
    tensor_type: int
    width: int
    rows: int

    @property
    def elements(self) -> int:
        """Number of weights."""
        return self.width * self.rows


class Survey(Struct):
    """What was seen while a few tokens were decoded."""

    matrices: dict[str, Matrix] = field(default_factory=dict)
    adapter: dict[str, Address] = field(default_factory=dict)
    """The tensors of the adapter, by name."""
    obstacles: dict[str, None] = field(default_factory=dict)
    """Operations without a backward pass, in the order they were met."""
    nodes: int = 0


class Surveyor:
    """Takes in the nodes of a graph."""

    def __init__(self) -> None:
        self.survey = Survey()
        self._numbers = ggml.number_ops(WATCHED)
        self._names = {number: name for name, number in self._numbers.items()}

    def see(self, node: Tensor) -> None:
        """Take in a node before it is computed."""
        survey, name = self.survey, self._names.get(node.op, "?")
        survey.nodes += 1
        if obstacle := _find_obstacle(node, name):
            survey.obstacles[obstacle] = None
        for address in node.src:
            if address:
                self._see_source(address, is_product=name == "MUL_MAT" and address == node.src[0])

    def _see_source(self, address: Address, *, is_product: bool) -> None:
        source = Tensor.from_address(address)
        name = source.name.decode("utf-8", "replace")
        if name.endswith((".lora_a", ".lora_b")):
            self.survey.adapter[name] = address
        elif is_product and name.endswith(".weight") and source.ne[2] == 1 and source.ne[1] > 1:
            width, rows = int(source.ne[0]), int(source.ne[1])
            self.survey.matrices[name] = Matrix(name, address, source.type, width, rows)


def _find_obstacle(node: Tensor, name: str) -> str | None:
    """Return the name of an operation without a backward pass."""
    if name == "UNARY":
        unary = ggml.unary_op_name(node.op_params[0]).decode()
        return None if unary in _UNARY_WITH_BACKWARD else unary
    if name == "GLU":
        glu: str = ggml.glu_op_name(node.op_params[0]).decode()
        if glu != _GLU_WITH_BACKWARD:
            return glu
        return None if node.src[1] else f"{glu} of one tensor"
    return None if name in _WITH_BACKWARD or name in _BEFORE_TRAINING else name
