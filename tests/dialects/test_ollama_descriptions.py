"""What Ollama's command line takes for granted in lists, descriptions and progress: it ends with a stack trace else."""

from datetime import UTC, datetime

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from fakes.scripted_model import LOADED, entry_of
from puna.api.ollama.descriptions import to_details, to_model_info, to_process, to_show
from puna.api.ollama.pulling import progress_lines
from puna.domain.downloads import Download, DownloadState, FileProgress
from puna.domain.models import ModelSource


def download(*files: FileProgress) -> Download:
    return Download(
        id="dl_1",
        name="acme/tiny-GGUF:Q8_0",
        repo="acme/tiny-GGUF",
        revision="main",
        commit="1" * 40,
        label="Q8_0",
        state=DownloadState.RUNNING,
        size_bytes=10,
        done_bytes=5,
        rate_bytes_s=None,
        time_left_s=None,
        files=files,
        error=None,
        created_at=0,
        ended_at=None,
    )


@pytest.mark.parametrize("digest", ["", f"sha256:{'ab' * 32}"])
def test_every_file_has_a_digest_of_which_twelve_digits_can_be_shown(digest: str) -> None:
    files = [FileProgress(name=name, size_bytes=10, done_bytes=5, digest=digest) for name in ("a", "b")]
    lines = list(progress_lines(download(*files)))
    assert all(len(line.digest[7:19]) == 12 and line.digest.startswith("sha256:") for line in lines)
    assert len({line.digest for line in lines}) == (1 if digest else 2)
    assert lines[0].status == ("pulling abababababab" if digest else "pulling a")


def test_a_model_of_another_machine_has_an_architecture_too() -> None:
    remote = replace(entry_of("big"), source=ModelSource.REMOTE, architecture="", context_length=8192)
    assert to_model_info(remote)["general.architecture"] == "unknown"
    assert to_model_info(remote)["unknown.context_length"] == 8192
    assert (to_details(remote).family, to_details(remote).families) == ("unknown", ("unknown",))


@pytest.mark.parametrize(
    ("layers", "on_gpu", "size"),
    [(33, 0, 0), (33, 11, 1_766_666), (33, 33, 5_300_000), (33, 99, 5_300_000), (0, 0, 0), (0, 5, 5_300_000)],
)
def test_a_model_is_on_the_gpu_as_far_as_its_layers_are(layers: int, on_gpu: int, size: int) -> None:
    loaded = replace(LOADED, layers=layers, gpu_layers=on_gpu)
    told = to_process("demo", entry_of("demo"), loaded, None, datetime(2026, 1, 2, tzinfo=UTC))
    assert (told.size, told.size_vram) == (5_300_000, size)


def test_an_adapter_tells_its_base() -> None:
    adapter = replace(entry_of("ft_model_1"), source=ModelSource.ADAPTER, base="demo")
    assert to_details(adapter).parent_model == "demo"
    assert to_details(entry_of("demo")).parent_model == ""


def test_the_licence_is_told_where_the_file_has_one() -> None:
    entry = entry_of("demo")
    assert to_show("demo", entry, None).license is UNSET
    assert to_show("demo", replace(entry, licence="apache-2.0"), None).license == "apache-2.0"
