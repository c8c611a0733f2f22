"""What `puna pull`, `search`, `ls`, `show`, `rm` and `add` print: pure, and their use."""

import msgspec
import pytest

from puna.cli.add import describe_added
from puna.cli.figures import show_count, show_size
from puna.cli.ls import model_row, remarks
from puna.cli.pull import describe, find_download
from puna.cli.rm import describe_removal
from puna.cli.search import offer_row
from puna.cli.show import model_facts, page_facts
from puna.domain.downloads import Download, DownloadState
from puna.domain.hub_offers import Fit, ModelPage, RepoOffer, VariantOffer
from puna.domain.model_kind import ModelKind
from puna.domain.model_list import ListedModel, ModelList, OfferedFolder, RemovedModel, UnusableModel
from puna.domain.model_tools import ModelTool
from puna.domain.models import ModelSource, ModelState
from puna.errors import NotFoundError
from puna.paths import Paths
from unit.conftest import Run

NAME = "org/repo:Q4_K_M"


def download(state: DownloadState, **facts: object) -> Download:
    known = {"size_bytes": 4_000_000_000, "done_bytes": 1_000_000_000, "error": None, "id": "dl_1"} | facts
    return Download(
        name=NAME,
        repo="org/repo",
        revision="main",
        commit="c" * 40,
        label="Q4_K_M",
        state=state,
        rate_bytes_s=None,
        time_left_s=None,
        files=(),
        created_at=0,
        ended_at=None,
        **known,  # type: ignore[arg-type]
    )


MODEL = ListedModel(
    id=NAME,
    name="A llama",
    source=ModelSource.HUB,
    state=ModelState.READY,
    size_bytes=4_000_000_000,
    kind=ModelKind.TEXT,
    quantisation="Q4_K_M",
    parameter_count=7_200_000_000,
    context_length=32_768,
    architecture="llama",
    licence="mit",
    description="llama, 7.2B parameters, Q4_K_M",
    modified_s=0,
    path="/cache/m.gguf",
    file_count=2,
    has_projector=True,
    can_think=False,
    can_call_tools=True,
    nicknames=("nick",),
)

OFFER = RepoOffer(
    repo="org/repo",
    downloads=1_234_567,
    likes=12,
    licence="mit",
    is_gated=True,
    is_private=False,
    architecture="llama",
    parameter_count=7_200_000_000,
    context_length=32_768,
    updated="2026-01-31",
    page="https://huggingface.co/org/repo",
    variants=(
        VariantOffer(name=NAME, label="Q4_K_M", size_bytes=4_000_000_000, file_count=1, fit=Fit.TIGHT),
    ),
)


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "-"), (999, "999 B"), (1_500, "1.5 kB"), (5_959_488, "6.0 MB"), (4_900_000_000, "4.9 GB")],
)
def test_sizes_are_shown_in_decimal_units(size_bytes: int, shown: str) -> None:
    assert show_size(size_bytes) == shown


def test_counts_are_shown_in_their_largest_unit() -> None:
    assert [show_count(each) for each in (0, 12, 3_000, 7_200_000_000)] == ["-", "12", "3k", "7.2B"]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (DownloadState.DONE, f"{NAME} is here (4.0 GB); `puna run {NAME}` starts a chat."),
        (DownloadState.PAUSED, f"{NAME} is paused at 1.0 GB of 4.0 GB; `puna pull {NAME}` goes on."),
        (DownloadState.FAILED, f"The download of {NAME} failed: No room."),
        (DownloadState.CANCELLED, f"The download of {NAME} is cancelled; what had arrived is removed."),
        (
            DownloadState.RUNNING,
            f"{NAME} is being downloaded, 1.0 GB of 4.0 GB; `puna pull {NAME}` shows how far it is.",
        ),
    ],
)
def test_each_state_of_a_download_is_a_sentence(state: DownloadState, sentence: str) -> None:
    assert describe(download(state, error="No room.")) == sentence


def test_a_download_is_found_by_id_name_or_repository_the_last_one_first() -> None:
    first, last = download(DownloadState.FAILED, id="dl_1"), download(DownloadState.RUNNING, id="dl_2")
    assert find_download((first, last), "dl_1") is first
    assert find_download((first, last), NAME) is last
    assert find_download((first, last), "org/repo") is last
    with pytest.raises(NotFoundError, match=r"There is no download of llama3\.2:1b"):
        find_download((first, last), "llama3.2:1b")
    with pytest.raises(NotFoundError, match="There is no download of other"):
        find_download((first, last), "other")


def test_a_download_is_found_by_the_short_name_and_the_base_that_began_it(home: Paths) -> None:
    repo = "bartowski/Llama-3.2-1B-Instruct-GGUF"
    begun = msgspec.structs.replace(download(DownloadState.RUNNING), name=f"{repo}:Q4_K_M", repo=repo)
    for name in ("llama3.2:1b", "Llama3.2:1b-instruct", "meta-llama/Llama-3.2-1B-Instruct"):
        assert find_download((begun,), name) is begun
    with pytest.raises(NotFoundError):
        find_download((begun,), "llama3.2:1b-q8_0")


def test_a_search_result_is_a_row() -> None:
    assert offer_row(OFFER) == (
        "org/repo",
        "7.2B",
        "1.2M",
        "mit (to be accepted)",
        "Q4_K_M",
        "4.0 GB",
        "when memory is free",
    )


def test_a_model_is_a_row_with_its_further_names() -> None:
    assert model_row(MODEL) == (f"{NAME} (nick)", "4.0 GB", "7.2B", "Q4_K_M", "32.8k", "hub", "loaded")


def test_broken_files_and_folders_of_other_programs_are_told_below() -> None:
    found = ModelList(
        models=(),
        unusable=(
            UnusableModel(id="bad", reason="bad.gguf is damaged.", is_broken=True),
            UnusableModel(id="odd", reason="odd.gguf is an adapter.", is_broken=False),
        ),
        offers=(
            OfferedFolder(tool=ModelTool.LM_STUDIO, folder="/lms", model_count=2, size_bytes=9_000_000_000),
        ),
    )
    assert remarks(found, shows_all=False) == [
        "bad cannot run: bad.gguf is damaged.",
        "lm-studio has 2 models (9.0 GB) in /lms; `puna config set use_models_of lm-studio` lists them here.",
    ]
    assert len(remarks(found, shows_all=True)) == 3


def test_facts_of_a_model_and_of_a_page_are_lines() -> None:
    facts = dict(model_facts(MODEL))
    assert (facts["can"], facts["size"], facts["further names"]) == (
        "tools, images or sound",
        "4.0 GB in 2 files",
        "nick",
    )
    page = dict(page_facts(ModelPage(offer=OFFER, card=None, asked="org/base")))
    assert page["repository"] == "org/repo, a conversion of org/base"
    assert page["licence"] == "mit (to be accepted on its page)"


def test_removing_and_adding_are_sentences() -> None:
    deleted = RemovedModel(id=NAME, freed_bytes=4_000_000_000, is_deleted=True)
    assert describe_removal(deleted) == f"{NAME} is deleted; 4.0 GB are free again."
    assert "is forgotten" in describe_removal(RemovedModel(id="m", freed_bytes=0, is_deleted=False))
    assert describe_added(MODEL) == (
        f"{NAME} is listed (llama, 7.2B parameters, Q4_K_M); `puna run {NAME}` starts a chat."
    )
    embedding = msgspec.structs.replace(MODEL, kind=ModelKind.EMBEDDING)
    assert describe_added(embedding).endswith("; it makes vectors, as for /v1/embeddings.")
    reranker = msgspec.structs.replace(MODEL, kind=ModelKind.RERANKER)
    assert describe_added(reranker).endswith("; it ranks documents, as for /v1/rerank.")


@pytest.mark.parametrize("command", ["pull", "search", "ls", "show", "add", "rm"])
def test_every_command_has_help_with_examples(puna: Run, command: str) -> None:
    ended = puna(command, "--help")
    assert ended.code == 0
    assert f"puna {command}" in ended.out


def test_a_pull_of_nothing_is_wrong_use(puna: Run) -> None:
    ended = puna("pull")
    assert ended.code == 2
    assert "Which model?" in ended.err


@pytest.mark.parametrize("arguments", [("pull", "org/repo"), ("ls",), ("search", "x"), ("rm", "m")])
def test_without_a_daemon_the_next_step_is_told(puna: Run, arguments: tuple[str, ...]) -> None:
    ended = puna(*arguments)
    assert (ended.code, ended.err) == (3, "puna: Puna does not run; `puna start` starts it.\n")
