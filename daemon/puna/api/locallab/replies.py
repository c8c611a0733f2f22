"""LocalLab's answers: supersets of what its document, its real server and its clients know of."""

from msgspec import UNSET, Struct, UnsetType


class UsageReply(Struct, frozen=True):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class GenerateReply(Struct, frozen=True, kw_only=True):
    """Answer of /generate: the document's `response`, the real server's `text`, the same string."""

    response: str
    text: str
    model: str
    model_id: str
    usage: UsageReply
    reasoning: str | UnsetType = UNSET
    """What the model thought before it spoke, where it did."""


class MessageReply(Struct, frozen=True):
    """The assistant's turn."""

    role: str
    content: str
    reasoning: str | UnsetType = UNSET
    """What the model thought before it spoke, where it did."""


class ChoiceReply(Struct, frozen=True, kw_only=True):
    """The one choice."""

    index: int
    message: MessageReply
    finish_reason: str


class ChatReply(Struct, frozen=True, kw_only=True):
    """Answer of /chat."""

    choices: tuple[ChoiceReply, ...]
    model: str
    usage: UsageReply


class BatchReply(Struct, frozen=True, kw_only=True):
    """Answer of /generate/batch; the usage is that of all prompts together."""

    responses: tuple[str, ...]
    model: str
    usage: UsageReply


class DeltaReply(Struct, frozen=True):
    """More text."""

    content: str
    """Empty while the model thinks."""
    reasoning: str | UnsetType = UNSET
    """More of what the model thinks."""


class ChunkChoiceReply(Struct, frozen=True, kw_only=True):
    """The one choice of a chunk."""

    index: int
    delta: DeltaReply
    finish_reason: None = None


class ChunkReply(Struct, frozen=True):
    """One line of JSON in a chat stream."""

    choices: tuple[ChunkChoiceReply, ...]


class ModelReply(Struct, frozen=True, kw_only=True):
    """One model of the list."""

    id: str
    name: str
    can_load: bool
    description: str
    is_loaded: bool


class OpenAIModelReply(Struct, frozen=True, kw_only=True):
    """One model as OpenAI's SDK reads it when its base URL lacks `/v1`."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = "local"


class ModelsReply(Struct, frozen=True, kw_only=True):
    """Answer of /models/available and /models/list."""

    models: tuple[ModelReply, ...]
    current_model: str | None


class OpenAIModelsReply(ModelsReply, frozen=True, kw_only=True):
    """Answer of /models, for two kinds of clients."""

    data: tuple[OpenAIModelReply, ...]
    object: str = "list"


class ModelStatusReply(Struct, frozen=True, kw_only=True):
    """Answer of /models/current and /models/status."""

    id: str
    model_id: str
    name: str
    is_loaded: bool
    loading_progress: float


class StatusReply(Struct, frozen=True):
    """What came of an order."""

    status: str
    message: str


class MessageOnlyReply(Struct, frozen=True):
    """What came of a change to the instructions."""

    message: str


class InstructionsReply(Struct, frozen=True):
    """Answer of GET /system/instructions."""

    instructions: str
    model_id: str


class HealthReply(Struct, frozen=True):
    """Answer of /health; one client asks for exactly this word."""

    status: str = "healthy"


class GpuReply(Struct, frozen=True, kw_only=True):
    """One GPU. What llama.cpp does not tell is null."""

    index: int
    name: str
    total_memory_mb: int
    memory_free_mb: int
    memory_used_mb: int
    memory_percent: float
    gpu_utilization: float | None = None
    memory_utilization: float | None = None
    temperature: float | None = None
    power_usage_watts: float | None = None


class DeviceReply(Struct, frozen=True, kw_only=True):
    """One compute device that llama.cpp sees."""

    name: str
    description: str
    kind: str
    total_memory_mb: int
    free_memory_mb: int


class LoadedModelReply(Struct, frozen=True, kw_only=True):
    """One model in memory, and why it runs where it does."""

    id: str
    name: str
    state: str
    context_length: int | None
    slots: int | None
    busy_slots: int
    waiting_requests: int
    threads: int | None
    gpu_layers: int | None
    backend: str | None
    backend_reason: str | None
    layers: int | None = None
    layers_reason: str | None = None
    """Why no more of its layers are on a GPU."""
    threads_reason: str | None = None
    trained_context_length: int | None = None
    context_reason: str | None = None
    memory_mb: dict[str, int] | None = None
    """What was set aside for it, by device."""


class ProcessorReply(Struct, frozen=True, kw_only=True):
    """The processor, as models can use it."""

    name: str
    physical_cores: int
    logical_cores: int
    performance_cores: int | None
    instruction_sets: tuple[str, ...]
    """Those that this llama.cpp uses."""


class SystemMemoryReply(Struct, frozen=True, kw_only=True):
    """Main memory."""

    total_mb: int
    available_mb: int


class LlamaReply(Struct, frozen=True, kw_only=True):
    """The llama.cpp that runs the models."""

    version: str
    """Of llama-cpp-python."""
    llama_cpp_version: str
    commit: str
    backends: tuple[str, ...]
    """What it was built with: `CPU`, `CUDA`, `Vulkan`, ..."""


class SystemInfoReply(Struct, frozen=True, kw_only=True):
    """Answer of /system/info: the document's fields, and what runs where."""

    cpu_usage: float
    memory_usage: float
    gpu_info: tuple[GpuReply, ...] | None
    active_model: str | None
    uptime: float
    request_count: int
    version: str
    backend: str | None
    backend_reason: str | None
    threads: int | None
    devices: tuple[DeviceReply, ...]
    models: tuple[LoadedModelReply, ...]
    system: str
    cpu: ProcessorReply
    memory: SystemMemoryReply
    gpu_reason: str
    """Whether models can run on a GPU, and why not."""
    gpu_advice: str | None
    """What would change that; null where nothing would."""
    llama: LlamaReply | None
    """Null where llama.cpp cannot be loaded, or is still being looked at."""
    llama_error: str | None


class StartupReply(Struct, frozen=True, kw_only=True):
    """Answer of /startup-status."""

    server_ready: bool
    model_loading: bool
    current_model: str | None
    uptime: float


class HomeReply(Struct, frozen=True, kw_only=True):
    """Answer of GET / for programs."""

    name: str
    version: str
    status: str
    model: str | None
    uptime: float


class CpuReply(Struct, frozen=True, kw_only=True):
    """The processor; usage in percent, frequency in MHz."""

    cores: int | None
    threads: int | None
    usage: float
    frequency: float | None


class SpaceReply(Struct, frozen=True, kw_only=True):
    """Memory or disk, in bytes."""

    total: int
    free: int
    used: int
    percent: float


class MemoryReply(SpaceReply, frozen=True, kw_only=True):
    """Memory; `available` is what programs can get without swapping."""

    available: int


class ResourcesReply(Struct, frozen=True, kw_only=True):
    """Answer of /resources."""

    cpu: CpuReply
    memory: MemoryReply
    gpu: tuple[GpuReply, ...]
    disk: SpaceReply
    platform: str
    server_uptime: float
    api_requests: int


class NetworkReply(Struct, frozen=True, kw_only=True):
    """Answer of /network. The public address would need a request to a stranger, so it stays unknown."""

    public_ip: str
    hostname: str
    interfaces: dict[str, dict[str, str]]
