"""What models take of this machine's memory, and how a model is to be loaded. Sizes in bytes."""

from msgspec import Struct

CPU = "CPU"
"""The device that every machine has; its memory is the machine's."""
BATCH_TOKENS = 512
"""The most tokens that one step of a text model computes; of an embedding model, the least that its batch holds."""
CACHED_SEQUENCES = 8
"""Sequences beyond the slots, for prefixes of finished requests."""
CACHED_ADAPTERS = 8
"""Adapters that a worker keeps in memory beyond those that its slots use."""
BATCH_INPUTS = 64
"""The most inputs in one batch of an embedding model, which are the sequences of its context."""
LONGEST_INPUT = 2048
"""Tokens of one input of an embedding model unless a setting asks for more: its cost grows with the square."""


class LayerShape(Struct, frozen=True):
    """One block of a model."""

    weights_bytes: int = 0
    cell_bytes: int = 0
    """Keys and values of one token, in an F16 cache; 0 where the block keeps none."""
    state_bytes: int = 0
    """What one sequence keeps in a recurrent block, however long it is."""


class ModelShape(Struct, frozen=True, kw_only=True):
    """What a model's file says about the memory that it will take."""

    layers: tuple[LayerShape, ...]
    input_bytes: int
    """The table of tokens and its like, which stay in the machine's memory."""
    output_bytes: int
    """Everything behind the last block."""
    tied_bytes: int = 0
    """The table of tokens once more, where it serves as the output on a GPU too."""
    scratch_floats: int
    """Intermediate results of one token in a batch, in 4-byte numbers."""
    width: int
    token_count: int
    trained_length: int
    """Tokens that the model was trained for; 0 where the file does not say."""
    masks: int = 1
    """Attention masks of a batch: a second one where some blocks see only a window of the text."""
    pools_last: bool = False
    """Whether the vector of a text is that of its last token, so that no other one is an output."""

    @property
    def is_encoder(self) -> bool:
        """Whether it keeps nothing of what it read, and has no head that writes."""
        return not any(layer.cell_bytes or layer.state_bytes for layer in self.layers)

    @property
    def weights_bytes(self) -> int:
        """All weights, once."""
        return self.input_bytes + self.output_bytes + sum(layer.weights_bytes for layer in self.layers)


class DeviceNeed(Struct, frozen=True, kw_only=True):
    """What one model takes of one device."""

    device: str
    weights_bytes: int = 0
    cache_bytes: int = 0
    """Keys, values and recurrent state of all requests and of the prefix cache."""
    compute_bytes: int = 0
    process_bytes: int = 0
    """What the worker takes besides, without any model."""
    shared_bytes: int = 0
    """What a GPU takes that has no memory of its own; it stands under the GPU's name too."""

    @property
    def total_bytes(self) -> int:
        """All of it."""
        own = self.weights_bytes + self.cache_bytes + self.compute_bytes
        return own + self.process_bytes + self.shared_bytes


class LoadPlan(Struct, frozen=True, kw_only=True):
    """How a model is loaded: decided by the daemon, kept to by the worker."""

    context_length: int | None = None
    """Tokens of one request; None where the engine behind the model decides."""
    total_cells: int | None = None
    """Tokens that all requests and the prefix cache share; None as above."""
    gpu_layers: int | None = None
    """Layers on GPUs, the output counted as one; None puts all there."""
    needs: tuple[DeviceNeed, ...] = ()
    takes_place: bool = True
    """Whether it counts as a model in memory; one that runs elsewhere does not."""
    placement_reason: str = ""
    """Why these layers and no more are on GPUs; empty where all are, or there is none."""
    notes: tuple[str, ...] = ()
    """Why it gets not more layers or tokens, a clause each."""


class Shortfall(Struct, frozen=True, kw_only=True):
    """A model does not fit: what it would need at least, and what it could have."""

    need: DeviceNeed
    room_bytes: int
    context_length: int
    """Tokens of one request in this smallest form."""
    is_length_wished: bool = False
    """Whether a setting asks for that length."""
