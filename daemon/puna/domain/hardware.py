"""The machine and the llama.cpp on it, as facts."""

from msgspec import Struct

from puna.domain.memory import DeviceNeed
from puna.domain.models import Device

_NO_INSTRUCTIONS = frozenset({"LLAMAFILE", "OPENMP", "REPACK", "ACCELERATE", "KLEIDIAI", "BLAS"})
"""Features of ggml's CPU back end that are no instruction sets but ways to compute."""
_NO_GPU = frozenset({"CPU", "BLAS", "RPC", "AMX", "ZENDNN"})
"""Back ends that use no GPU of this machine; every other one is there for one."""


class Backend(Struct, frozen=True):
    """One of ggml's back ends that are in this build."""

    name: str
    """`CPU`, `CUDA`, `Vulkan`, `MTL` (Metal), ... as ggml registers it."""
    features: tuple[str, ...] = ()
    """What is switched on in it: `AVX2`, or `ARCHS=890` where it has a value."""


class LlamaBuild(Struct, frozen=True, kw_only=True):
    """What a child found out about llama.cpp: which one it is, what it can use, and what it sees here."""

    binding: str
    """Version of llama-cpp-python."""
    version: str = ""
    """llama.cpp's own; empty where it tells none. The same holds for the next two."""
    ggml_version: str = ""
    commit: str = ""
    backends: tuple[Backend, ...] = ()
    devices: tuple[Device, ...] = ()
    """Their free memory is of the moment of `taken_at`."""
    complaint: str = ""
    """The last error that a back end reported when it looked for devices, such as a missing driver."""
    taken_at: float = 0.0
    """In seconds since 1970."""

    @property
    def gpus(self) -> tuple[Device, ...]:
        """The devices that models can be put on, besides the CPU."""
        return tuple(device for device in self.devices if device.kind in ("gpu", "igpu"))

    @property
    def gpu_backends(self) -> tuple[str, ...]:
        """The back ends for GPUs in this build, whether or not they found one."""
        return tuple(backend.name for backend in self.backends if backend.name not in _NO_GPU)

    @property
    def has_rpc(self) -> bool:
        """Whether layers can go to other machines."""
        return any(backend.name == "RPC" for backend in self.backends)

    @property
    def instruction_sets(self) -> tuple[str, ...]:
        """What of the processor its CPU back end was built to use, and uses here."""
        features = (
            feature for backend in self.backends if backend.name == "CPU" for feature in backend.features
        )
        return tuple(feature for feature in features if feature.split("=")[0] not in _NO_INSTRUCTIONS)


class Processor(Struct, frozen=True, kw_only=True):
    """The processor of this machine. Counts are of cores unless said otherwise."""

    name: str
    architecture: str
    """As Python names it: `x86_64`, `arm64`, ..."""
    physical_cores: int
    logical_cores: int
    """What the system schedules on; more than the physical ones with hyper-threading."""
    performance_cores: int | None = None
    """The fast ones among the physical; None where all are alike, or the system does not say."""
    usable_cores: float | None = None
    """What this process is allowed to use, by its affinity or its container; None where that is everything."""
    instruction_sets: tuple[str, ...] = ()
    """Those among what llama.cpp can make use of that the processor has; empty where that cannot be known."""


class Memory(Struct, frozen=True, kw_only=True):
    """Main memory in bytes; a container's limit counts as the end of it."""

    total_bytes: int
    available_bytes: int
    """What programs can get without swapping."""
    is_limited: bool = False
    """Whether a container's limit makes it less than the machine has."""


class GraphicsCard(Struct, frozen=True, kw_only=True):
    """A GPU that the operating system knows of, whether or not llama.cpp can use it."""

    name: str
    vendor: str
    """`NVIDIA`, `AMD`, `Intel`, `Apple` or `Qualcomm`."""
    memory_bytes: int | None = None
    """Its own memory; None where it shares the machine's, or that is not known."""
    driver: str | None = None
    """Name of its driver in the kernel; None where there is none, or that is not known."""


class Machine(Struct, frozen=True, kw_only=True):
    """What this machine has."""

    system: str
    """For people: `Linux 6.8 (Ubuntu 24.04)`."""
    processor: Processor
    memory: Memory
    graphics: tuple[GraphicsCard, ...] = ()


class ModelUse(Struct, frozen=True, kw_only=True):
    """What of the machine one model in memory uses, and for each why it is not more."""

    id: str
    backend: str
    backend_reason: str
    gpu_layers: int
    layers: int | None
    """All layers, the output layer among them; None where that is not known."""
    layers_reason: str
    threads: int
    threads_reason: str
    context_length: int
    """Tokens of one request."""
    trained_context_length: int
    context_reason: str
    total_cells: int
    """Tokens that all requests share."""
    slots: int
    size_bytes: int
    """Its weights."""
    needs: tuple[DeviceNeed, ...] = ()
    """What was set aside for it on each device; empty where nothing was, as for models that run elsewhere."""


class GpuUse(Struct, frozen=True, kw_only=True):
    """Whether models can run on GPUs here, and why not."""

    is_possible: bool
    is_known: bool = True
    """False until a child has looked."""
    reason: str
    """A clause, such as `this llama.cpp was built for the CPU alone`."""
    advice: str | None = None
    """A sentence on what would change it; None where nothing would, or it would be no gain."""


class Hardware(Struct, frozen=True, kw_only=True):
    """All that the daemon can tell of the machine, and of what uses it."""

    machine: Machine
    gpu_use: GpuUse
    llama: LlamaBuild | None = None
    """None until a child has looked, or where none could."""
    llama_error: str | None = None
    """Why none could."""
    models: tuple[ModelUse, ...] = ()
