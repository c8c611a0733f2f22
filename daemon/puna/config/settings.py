"""Every setting, once: name, type, default, range and help.

Variables, flags, checks and docs/config.md follow from these lines; `puna.config.definitions` reads them.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from puna.domain.dialects import DialectName
from puna.domain.model_tools import ModelTool
from puna.domain.remote import RemoteModel

MIB = 1024 * 1024

_Seconds = Annotated[float, Meta(ge=0.1, le=86_400)]
_HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")]
_Alias = Annotated[str, Meta(pattern=r"^[^=]+=.+$")]
_Address = Annotated[str, Meta(pattern=r"^https?://[^/\s?#]+[^\s?#]*$")]
_Server = Annotated[str, Meta(pattern=r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$")]
_Origin = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://[^/\s?#]+$")]


class LogLevel(StrEnum):
    """What is written to the log: this and worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user wants. The descriptions are the text of `--help` and of docs/config.md."""

    host: Annotated[
        str,
        Meta(
            description="Address to listen on; `localhost` is 127.0.0.1 and ::1.",
            extra={"allowed": "`localhost` or one IP address"},
        ),
    ] = "localhost"
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")] = 8000
    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="The model that runs when a request names none: an id, or the path of a GGUF file.",
            extra={"allowed": "a model id or the path of a GGUF file"},
        ),
    ] = "demo"
    load_on_start: Annotated[
        bool, Meta(description="Load that model at once, not only when the first request comes.")
    ] = True
    model_folders: Annotated[
        tuple[Path, ...],
        Meta(description="Folders in which GGUF files are found.", extra={"allowed": "a list of folders"}),
    ] = ()
    use_models_of: Annotated[
        tuple[ModelTool, ...],
        Meta(
            description="Other programs whose models are listed too, in place; nothing of theirs is changed.",
            extra={"allowed": f"a list of {', '.join(ModelTool)}"},
        ),
    ] = ()
    model_aliases: Annotated[
        tuple[_Alias, ...],
        Meta(
            description="Other names for models, as `alias=id` or `alias=path`.",
            extra={"allowed": "a list such as llama3.2:1b=demo"},
        ),
    ] = ()
    remote_models: Annotated[
        tuple[RemoteModel, ...],
        Meta(
            description="Models that other OpenAI-compatible engines serve; see docs/remote-models.md.",
            extra={
                "allowed": "a list of tables with `name` and `url`, or of texts such as "
                "`big=http://gpu-box:8000/v1 model=org/model`"
            },
        ),
    ] = ()
    hub_endpoint: Annotated[
        _Address | None,
        Meta(
            description="The Hugging Face Hub, or a mirror of it; auto asks HF_ENDPOINT, else https://huggingface.co.",
            extra={"allowed": "an address such as https://huggingface.co"},
        ),
    ] = None
    hub_cache: Annotated[
        Path | None,
        Meta(
            description="Folder for downloaded models; auto is the Hub's own (HF_HOME), shared with other programs.",
            extra={"allowed": "a folder"},
        ),
    ] = None
    hub_token_file: Annotated[
        Path | None,
        Meta(
            description="File with the Hub's token; auto is the Hub's own, which `hf auth login` writes. "
            "HF_TOKEN comes before it.",
            extra={"allowed": "a file"},
        ),
    ] = None
    offline: Annotated[
        bool, Meta(description="Never ask the Hub: models on disk work, everything else says so at once.")
    ] = False
    download_files: Annotated[
        int, Meta(ge=1, le=32, description="Files that are downloaded at the same time.")
    ] = 3
    download_stall_s: Annotated[
        _Seconds, Meta(description="Seconds without a byte after which a download connects anew.")
    ] = 30.0
    download_reserve_bytes: Annotated[
        int,
        Meta(ge=0, le=1024 * 1024 * MIB, description="What downloads leave free on the disk, in bytes."),
    ] = 512 * MIB
    context_length: Annotated[
        Annotated[int, Meta(ge=256, le=16_777_216)] | None,
        Meta(description="Tokens that one request may use; auto fits it to the model and to memory."),
    ] = None
    slots: Annotated[
        int, Meta(ge=1, le=16, description="Requests of one model that run at the same time.")
    ] = 8
    threads: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        Meta(description="Threads of a worker; auto takes the cores that other programs leave free."),
    ] = None
    gpu_layers: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)] | None,
        Meta(description="Layers on the GPU; auto puts there what fits, 0 stays on the CPU."),
    ] = None
    rpc_servers: Annotated[
        tuple[_Server, ...],
        Meta(
            description="Machines that run llama.cpp's rpc-server and lend their devices to the models here; "
            "needs a llama.cpp built with RPC.",
            extra={"allowed": "a list such as gpu-box:50052"},
        ),
    ] = ()
    max_loaded_models: Annotated[int, Meta(ge=1, le=64, description="Models in memory at the same time.")] = 2
    idle_timeout_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=31_536_000,
            description="Seconds without requests after which a model leaves memory; 0 keeps it until another "
            "one needs the room.",
        ),
    ] = 1800.0
    allowed_hosts: Annotated[
        tuple[_HostName, ...],
        Meta(
            description="Further names that a request's Host header may carry.",
            extra={"allowed": "a list of host names without a port"},
        ),
    ] = ()
    allowed_origins: Annotated[
        tuple[_Origin, ...],
        Meta(
            description="Web pages, besides Puna's own, that may call the API from a browser.",
            extra={"allowed": "a list of origins such as https://example.org"},
        ),
    ] = ()
    open_dialects: Annotated[
        tuple[DialectName, ...],
        Meta(
            description="APIs that programs on this machine may use without a key; `none` closes all.",
            extra={"allowed": f"a list of {', '.join(DialectName)}"},
        ),
    ] = (DialectName.LOCALLAB, DialectName.OPENAI, DialectName.ANTHROPIC)
    rate_limits: Annotated[
        str,
        Meta(
            description="How often each key, or this machine without one, may ask for text.",
            extra={
                "allowed": "`documented`, `off`, or rates that differ from the documented ones such as "
                "`locallab=60/min:10 aitextgen=100/min+5000/day` (count/period:burst) or `locallab=off`"
            },
        ),
    ] = "documented"
    body_limit_bytes: Annotated[
        int, Meta(ge=1024, le=1024 * MIB, description="Largest request body, in bytes.")
    ] = 16 * MIB
    queue_limit: Annotated[
        int,
        Meta(ge=1, le=100_000, description="Requests that may wait for a slot; more are told to come again."),
    ] = 256
    generation_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds without any event from a worker before its request is given up.")
    ] = 600.0
    load_timeout_s: Annotated[_Seconds, Meta(description="Seconds that loading a model may take.")] = 300.0
    drain_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds that open requests get to finish when the daemon stops.")
    ] = 10.0
    job_task_limit: Annotated[
        int, Meta(ge=1, le=100_000, description="Conversations of one generation job.")
    ] = 1000
    job_character_limit: Annotated[
        int,
        Meta(ge=1000, le=1_000_000_000, description="Characters of all conversations of a job together."),
    ] = 4_000_000
    job_queue_limit: Annotated[
        int,
        Meta(
            ge=1, le=100_000, description="Unfinished jobs of one organisation; more are told to come again."
        ),
    ] = 100
    job_total_limit: Annotated[
        int, Meta(ge=1, le=100_000, description="Unfinished jobs of all organisations together.")
    ] = 1000
    job_share: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="Share of a model's slots that jobs may use while somebody waits for answers; "
            "one slot is theirs in any case.",
        ),
    ] = 0.25
    job_wait_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=60.0,
            description="Seconds that a request for a job's results waits when the job is nearly done.",
        ),
    ] = 1.0
    job_keep_days: Annotated[
        float, Meta(ge=0.01, le=36_500, description="Days after which a finished job is forgotten.")
    ] = 7.0
    response_keep_days: Annotated[
        float,
        Meta(
            ge=0.01,
            le=36_500,
            description="Days after which a stored response of the OpenAI API is forgotten.",
        ),
    ] = 30.0
    response_limit: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Stored responses of one organisation; of more, the oldest are forgotten.",
        ),
    ] = 10_000
    dataset_bytes: Annotated[
        int,
        Meta(ge=1024, le=4 * 1024 * MIB, description="The largest dataset to fine-tune on, in bytes."),
    ] = 50 * MIB
    dataset_rows: Annotated[
        int, Meta(ge=1, le=10_000_000, description="The most rows of a dataset to fine-tune on.")
    ] = 100_000
    webhook_loopback: Annotated[bool, Meta(description="Whether webhooks may point to this machine.")] = True
    webhook_private: Annotated[
        bool,
        Meta(description="Whether webhooks may point to private networks: the home, the office, a VPN."),
    ] = False
    ionos_organisations: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description="Organisations whose clients know ModelStudio as IONOS AI Model Studio, "
            "where a job ends as FINISHED, FAILED or CANCELED.",
            extra={"allowed": "a list of organisation ids"},
        ),
    ] = ()
    log_level: Annotated[LogLevel, Meta(description="How much is logged.")] = LogLevel.INFO
    log_file_bytes: Annotated[
        int, Meta(ge=10_000, le=1024 * MIB, description="Size at which the log file is rotated, in bytes.")
    ] = 5 * MIB
    log_file_count: Annotated[int, Meta(ge=1, le=100, description="Rotated log files that are kept.")] = 3

    @property
    def key_variables(self) -> frozenset[str]:
        """The environment variables with keys of remote models, which no child gets."""
        return frozenset(remote.key_variable for remote in self.remote_models) - {""}
