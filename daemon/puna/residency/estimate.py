"""What a model takes of each device, and how it is loaded into the room that there is. Pure.

The formulas follow what llama.cpp allocates and logs (`model buffer`, `KV buffer`, `compute buffer`, `output buffer`);
`python scripts/bench.py residency` compares them with what workers really take.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from puna.domain.context_plan import (
    COMFORTABLE,
    LONGEST_DEFAULT,
    SHORTEST,
    ContextPlan,
    plan_context,
)
from puna.domain.memory import (
    BATCH_INPUTS,
    BATCH_TOKENS,
    CACHED_SEQUENCES,
    CPU,
    LONGEST_INPUT,
    DeviceNeed,
    LoadPlan,
    ModelShape,
    Shortfall,
)
from puna.domain.models import ModelKind

MIB = 1024 * 1024
_FAIR_SHARE = 0.25
"""Of the room that is left on a device, for keys and values where no length is set: others want some, too."""
_FAIR_GPU_SHARE = 0.9
"""The same on a GPU with memory of its own, which is there for models."""
_PROCESS_BYTES = 40 * MIB
"""A worker without a model: the interpreter and its libraries, measured 28 MiB besides what processes share."""
_TOKEN_BYTES = 768
"""For each token of the vocabulary: its text, and the trie of constraints (measured 0.6 KiB at 107,000 tokens)."""
_GPU_PROCESS_BYTES = 400 * MIB
"""What a driver keeps on its device for each process; CUDA's contexts have 300 to 500 MiB."""
_FLOAT_BYTES = 4
_MASK_BYTES = 2
"""One entry of the attention mask, which has one for each token of a batch and each cell."""


class Gpu(Struct, frozen=True, kw_only=True):
    """A device that layers can go to."""

    name: str
    description: str = ""
    is_shared: bool = False
    """Whether its memory is the machine's own, as with Apple's and other integrated ones."""


class Wish(Struct, frozen=True, kw_only=True):
    """What the settings say of a load; None leaves it to the plan."""

    kind: ModelKind = ModelKind.TEXT
    context_length: int | None = None
    slots: int = 8
    gpu_layers: int | None = None
    adapters_bytes: int = 0
    """Of the adapters that the worker may hold at a time; they lie beside the weights that they change."""


class _Part(Struct):
    """What a device holds of one split: fixed parts, and what each cell of the cache adds."""

    device: str
    weights_bytes: int = 0
    state_bytes: int = 0
    compute_bytes: int = 0
    process_bytes: int = 0
    cell_cache_bytes: int = 0
    cell_compute_bytes: int = 0
    is_shared: bool = False

    @property
    def fixed_bytes(self) -> int:
        return self.weights_bytes + self.state_bytes + self.compute_bytes + self.process_bytes

    @property
    def cell_bytes(self) -> int:
        return self.cell_cache_bytes + self.cell_compute_bytes

    def need(self, cells: int) -> DeviceNeed:
        return DeviceNeed(
            device=self.device,
            weights_bytes=self.weights_bytes,
            cache_bytes=self.state_bytes + cells * self.cell_cache_bytes,
            compute_bytes=self.compute_bytes + cells * self.cell_compute_bytes,
            process_bytes=self.process_bytes,
        )


class Estimate:
    """One model and what is wished of it, for machines with these GPUs."""

    def __init__(self, shape: ModelShape, wish: Wish, gpus: Sequence[Gpu] = ()) -> None:
        self._shape = shape
        self._wish = wish
        self._gpus = tuple(gpus)
        beside = -(-wish.adapters_bytes // max(1, len(shape.layers)))
        self._weights = _sums(layer.weights_bytes + beside for layer in shape.layers)
        self._cells = _sums(layer.cell_bytes for layer in shape.layers)
        self._states = _sums(layer.state_bytes for layer in shape.layers)
        self._is_text = wish.kind is ModelKind.TEXT
        self._sequences = wish.slots + CACHED_SEQUENCES if self._is_text else BATCH_INPUTS
        self._input_cells = max(self._input_length(), BATCH_TOKENS)
        is_whole_batch = not (self._is_text or shape.pools_last)
        self._batch = self._input_cells if is_whole_batch else BATCH_TOKENS
        self._outputs = self._batch if is_whole_batch else self._sequences
        if shape.is_encoder:
            self._outputs = 0

    @property
    def most_gpu_layers(self) -> int:
        """Layers that may go to GPUs, the output counted as one."""
        if not self._gpus or self._wish.gpu_layers == 0:
            return 0
        whole = len(self._shape.layers) + 1
        return whole if self._wish.gpu_layers is None else min(self._wish.gpu_layers, whole)

    def plan(self, rooms: Mapping[str, int]) -> LoadPlan | Shortfall:
        """Choose layers and context for these free bytes by device.

        As many layers go to GPUs as fit beside a comfortable context; where none fits so, beside the shortest.
        """
        for least in (COMFORTABLE, SHORTEST):
            for gpu_layers in range(self.most_gpu_layers, -1, -1):
                parts = self._split(gpu_layers, rooms)
                context = self._fit(parts, rooms, least)
                if context is not None:
                    return self._make_plan(parts, context, gpu_layers)
        return self._describe_shortfall(rooms)

    def _fit(self, parts: Sequence[_Part], rooms: Mapping[str, int], least: int) -> ContextPlan | None:
        free = _count_cells(parts, rooms, fair=False)
        if free is None:
            return None
        if not self._is_text:
            has_room = free >= self._input_cells
            return ContextPlan(self._input_length(), self._input_cells) if has_room else None
        return plan_context(
            trained=self._shape.trained_length,
            wanted=self._wish.context_length,
            slots=self._wish.slots,
            free_cells=free,
            fair_cells=_count_cells(parts, rooms, fair=True) or 0,
            least=least,
        )

    def _input_length(self) -> int:
        length = self._wish.context_length or LONGEST_INPUT
        return min(length, self._shape.trained_length or length)

    def _split(self, gpu_layers: int, rooms: Mapping[str, int]) -> list[_Part]:
        """Return what each device holds: the first blocks stay on the CPU, the last ones and the output go."""
        blocks = len(self._shape.layers)
        start = blocks + 1 - gpu_layers
        host = self._part(CPU, 0, min(start, blocks), has_output=not gpu_layers)
        host.weights_bytes += self._shape.input_bytes
        host.process_bytes += _PROCESS_BYTES + self._shape.token_count * _TOKEN_BYTES
        host.process_bytes += self._outputs * self._shape.token_count * _FLOAT_BYTES
        parts = [host]
        for gpu, first, last in _share(self._gpus, start, gpu_layers, rooms):
            part = self._part(gpu.name, first, min(last, blocks), has_output=last > blocks)
            part.is_shared = gpu.is_shared
            part.process_bytes += 0 if gpu.is_shared else _GPU_PROCESS_BYTES
            if last > blocks:
                part.weights_bytes += self._shape.tied_bytes
            parts.append(part)
        return parts

    def _part(self, device: str, first: int, last: int, *, has_output: bool) -> _Part:
        shape = self._shape
        has_blocks = last > first
        floats = shape.scratch_floats if has_blocks else 2 * shape.width
        compute = self._batch * floats * _FLOAT_BYTES
        if has_output:
            # Of an embedding model nobody reads them, but llama.cpp computes them for every output.
            logits = (self._outputs * shape.token_count + self._batch * shape.width) * _FLOAT_BYTES
            compute = max(compute, logits)
        return _Part(
            device=device,
            weights_bytes=self._weights[last]
            - self._weights[first]
            + (shape.output_bytes if has_output else 0),
            state_bytes=(self._states[last] - self._states[first]) * self._sequences,
            compute_bytes=compute,
            cell_cache_bytes=self._cells[last] - self._cells[first],
            cell_compute_bytes=self._batch * _MASK_BYTES * shape.masks if has_blocks else 0,
        )

    def _make_plan(self, parts: Sequence[_Part], context: ContextPlan, gpu_layers: int) -> LoadPlan:
        placement = self._explain_placement(gpu_layers)
        return LoadPlan(
            context_length=context.context_length,
            total_cells=context.total_cells,
            gpu_layers=gpu_layers,
            needs=_needs(parts, context.total_cells),
            placement_reason=placement,
            notes=tuple(filter(None, (placement, self._explain_context(context)))),
        )

    def _explain_placement(self, gpu_layers: int) -> str:
        whole = len(self._shape.layers) + 1
        if not self._gpus or gpu_layers == whole:
            return ""
        if self._wish.gpu_layers is not None and gpu_layers >= self._wish.gpu_layers:
            return f"the setting gpu_layers is {self._wish.gpu_layers}"
        few = "no layer fits" if gpu_layers == 0 else f"no more than {gpu_layers} of {whole} layers fit"
        return f"{few} the free memory of {self._gpus[0].description or self._gpus[0].name}"

    def _explain_context(self, context: ContextPlan) -> str:
        most = min(self._shape.trained_length or LONGEST_DEFAULT, LONGEST_DEFAULT)
        if not self._is_text or self._wish.context_length or context.context_length >= most:
            return ""
        return (
            f"a context of more than {context.context_length} tokens would take too much of the free memory"
        )

    def _describe_shortfall(self, rooms: Mapping[str, int]) -> Shortfall:
        """Say what the smallest form would need: on the CPU alone, where every model can run."""
        trained = self._shape.trained_length or SHORTEST
        wished = self._wish.context_length
        length = min(trained, wished or SHORTEST) if self._is_text else self._input_length()
        cells = length if self._is_text else self._input_cells
        return Shortfall(
            need=self._split(0, rooms)[0].need(cells),
            room_bytes=max(0, rooms.get(CPU, 0)),
            context_length=length,
            is_length_wished=wished is not None,
        )


def _sums(sizes: Iterable[int]) -> tuple[int, ...]:
    return tuple(accumulate(sizes, initial=0))


def _share(
    gpus: Sequence[Gpu], start: int, count: int, rooms: Mapping[str, int]
) -> list[tuple[Gpu, int, int]]:
    """Return each GPU's first layer and the one behind its last, as llama.cpp deals them out (`load_tensors`).

    Layer `start + i` of `count` goes to the first GPU whose cumulated share of free memory exceeds `i / count`.
    """
    if not count:
        return []
    weights = [max(1, rooms.get(gpu.name, 0)) for gpu in gpus]
    ends = [total / sum(weights) for total in accumulate(weights)]
    owners = [next((g for g, end in enumerate(ends) if end > i / count), len(gpus) - 1) for i in range(count)]
    return [
        (gpu, start + owners.index(g), start + owners.index(g) + owners.count(g))
        for g, gpu in enumerate(gpus)
        if g in owners
    ]


def _count_cells(parts: Sequence[_Part], rooms: Mapping[str, int], *, fair: bool) -> int | None:
    """Return the cells that all devices can hold, or should to be `fair`; None where a fixed part does not fit."""
    counts = []
    for fixed, cell, room, share in _demands(parts, rooms):
        left = room - fixed
        if left < 0:
            return None
        counts.append(int(left * (share if fair else 1.0)) // cell if cell else 1 << 40)
    return min(counts)


def _demands(parts: Sequence[_Part], rooms: Mapping[str, int]) -> list[tuple[int, int, int, float]]:
    """Return for each memory its fixed bytes, its bytes for each cell, its room, and the fair share of what is left.

    A GPU without memory of its own is limited by what it may use, and takes from the machine's all the same.
    """
    host, *others = parts
    at_home = [host, *(part for part in others if part.is_shared)]
    fixed = sum(part.fixed_bytes for part in at_home)
    cell = sum(part.cell_bytes for part in at_home)
    return [
        (fixed, cell, rooms.get(CPU, 0), _FAIR_SHARE),
        *((part.fixed_bytes, part.cell_bytes, rooms.get(part.device, 0), _FAIR_GPU_SHARE) for part in others),
    ]


def _needs(parts: Sequence[_Part], cells: int) -> tuple[DeviceNeed, ...]:
    host, *others = parts
    needs = [part.need(cells) for part in others]
    shared = sum(need.total_bytes for need, part in zip(needs, others, strict=True) if part.is_shared)
    own = host.need(cells)
    return (
        DeviceNeed(
            device=own.device,
            weights_bytes=own.weights_bytes,
            cache_bytes=own.cache_bytes,
            compute_bytes=own.compute_bytes,
            process_bytes=own.process_bytes,
            shared_bytes=shared,
        ),
        *needs,
    )
