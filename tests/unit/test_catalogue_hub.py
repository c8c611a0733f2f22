"""Models in the Hub's cache, and names that lead to them wherever they are."""

import asyncio
from pathlib import Path

import pytest

from fakes import gguf_files as fake
from fakes.gguf_files import model_file
from fakes.hub_cache import COMMIT, OLD_COMMIT, cache_file, set_ref
from puna.domain.models import ModelEntry, ModelSource
from puna.errors import InvalidRequestError, ModelLoadError, ModelNotFoundError
from puna.models.catalogue import LocalCatalogue
from puna.models.known import KnownModel, KnownModels
from puna.paths import Paths

DEMO = Paths.for_user().demo_model
KNOWN = KnownModels(
    [
        KnownModel(
            name="tiny",
            tag=tag,
            bases=(f"maker/Tiny-{tag}",),
            repo=f"org/Tiny-{tag}-GGUF",
            quantisation="Q4_K_M",
            parameters=tag.upper(),
            licence="mit",
            is_default=tag == "1b",
        )
        for tag in ("1b", "7b")
    ]
)
TINY = "org/Tiny-1b-GGUF"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def content(name: str = "Tiny") -> bytes:
    return model_file(name).to_bytes()


def catalogue(cache: Path, *folders: Path, **aliases: str) -> LocalCatalogue:
    return LocalCatalogue(DEMO, folders, aliases, hub_cache=cache, known=KNOWN)


async def ids_of(models: LocalCatalogue) -> list[str]:
    return [entry.id for entry in await models.entries()]


async def not_found(models: LocalCatalogue, name: str) -> str:
    with pytest.raises(ModelNotFoundError) as caught:
        await models.find(name)
    return caught.value.message


async def test_models_in_the_cache_are_named_as_on_the_hub(cache: Path) -> None:
    path = cache_file(cache, TINY, "Tiny-1b-Q4_K_M.gguf", content())
    set_ref(cache, TINY)
    entries = await catalogue(cache).entries()
    assert [entry.id for entry in entries] == ["demo", f"{TINY}:Q4_K_M"]
    assert (entries[1].source, entries[1].path) == (ModelSource.HUB, path)
    assert entries[0].source is ModelSource.DEMO


async def test_a_cache_that_is_not_there_is_an_empty_one(cache: Path) -> None:
    assert await ids_of(catalogue(cache)) == ["demo"]


async def test_every_way_to_write_the_name_leads_to_the_file(cache: Path) -> None:
    path = cache_file(cache, TINY, "Tiny-1b-Q4_K_M.gguf", content())
    set_ref(cache, TINY)
    models = catalogue(cache, mine="tiny:1b")
    for name in (
        f"{TINY}:Q4_K_M",
        f"{TINY}:q4_k_m",
        f"{TINY}:latest",
        TINY,
        TINY.lower(),
        f"hf.co/{TINY}:Q4_K_M",
        f"https://huggingface.co/{TINY}",
        f"{TINY}:Tiny-1b-Q4_K_M.gguf",
        f"{TINY}@{COMMIT}",
        "tiny",
        "tiny:latest",
        "TINY:1B",
        "tiny:1b-chat-q4_K_M",
        "maker/Tiny-1b",
        "mine",
    ):
        assert (await models.find(name)).path == path, name


async def test_the_recommended_quantisation_comes_first_where_none_is_named(cache: Path) -> None:
    for label in ("Q8_0", "Q2_K", "Q4_K_M", "F16"):
        cache_file(cache, TINY, f"tiny-{label}.gguf", content(label))
    set_ref(cache, TINY)
    models = catalogue(cache)
    assert (await models.find("tiny:1b")).id == f"{TINY}:Q4_K_M"
    assert (await models.find(TINY)).id == f"{TINY}:Q4_K_M"
    assert (await models.find("tiny:1b-q8_0")).id == f"{TINY}:Q8_0"
    assert (await models.find(f"{TINY}:fp16")).id == f"{TINY}:F16"


async def test_another_quantisation_serves_where_none_is_named_and_is_told_where_one_is(cache: Path) -> None:
    cache_file(cache, TINY, "tiny-Q8_0.gguf", content())
    set_ref(cache, TINY)
    models = catalogue(cache)
    assert (await models.find("tiny")).id == f"{TINY}:Q8_0"
    assert (await models.find("maker/tiny-1b")).id == f"{TINY}:Q8_0"
    assert await not_found(models, "tiny:1b-q4_K_M") == (
        "'tiny:1b-q4_K_M' is not on this machine yet; get it with `puna pull tiny:1b-q4_K_M`"
        f" ({TINY} in Q4_K_M, 1B parameters, licence mit)."
        f" Of the same repository there is '{TINY}:Q8_0'."
    )


async def test_a_known_model_that_is_not_here_is_said_how_to_get(cache: Path) -> None:
    models = catalogue(cache)
    assert await not_found(models, "tiny:7b") == (
        "'tiny:7b' is not on this machine yet; get it with `puna pull tiny:7b`"
        " (org/Tiny-7b-GGUF in Q4_K_M, 7B parameters, licence mit)."
    )
    assert await not_found(models, "someone/else:Q8_0") == (
        "'someone/else:Q8_0' is not on this machine yet; get it with `puna pull someone/else:Q8_0`."
    )
    assert "Did you mean 'tiny:7b'" in await not_found(models, "tiny:70b")


async def test_a_mistyped_path_in_a_folder_gets_the_nearest_id_too(cache: Path, tmp_path: Path) -> None:
    model_file().write(tmp_path / "folder" / "zoo" / "llama.gguf")
    message = await not_found(catalogue(cache, tmp_path / "folder"), "zoo/lama")
    assert "`puna pull zoo/lama`. Or did you mean 'zoo/llama'?" in message


async def test_what_a_name_would_download_is_told(cache: Path) -> None:
    models = catalogue(cache, mine="tiny:7b", local="/somewhere/x.gguf")
    assert models.hub_name("tiny") == f"{TINY}:Q4_K_M"
    assert models.hub_name("mine") == "org/Tiny-7b-GGUF:Q4_K_M"
    assert models.hub_name("someone/else") == "someone/else"
    for name in ("local", "nothing", "/somewhere/x.gguf", ""):
        assert models.hub_name(name) is None


async def test_older_commits_stay_listed_under_their_own_names(cache: Path) -> None:
    cache_file(cache, TINY, "tiny-Q4_K_M.gguf", content("new"))
    old = cache_file(cache, TINY, "tiny-Q4_K_M.gguf", content("old"), commit=OLD_COMMIT)
    set_ref(cache, TINY)
    set_ref(cache, TINY, "v1", OLD_COMMIT)
    models = catalogue(cache)
    assert await ids_of(models) == ["demo", f"{TINY}:Q4_K_M", f"{TINY}:Q4_K_M@{OLD_COMMIT}"]
    assert (await models.find(TINY)).name == "new"
    assert (await models.find(f"{TINY}@v1")).path == old
    assert (await models.find(f"{TINY}:Q4_K_M@{OLD_COMMIT}")).path == old
    assert "not on this machine" in await not_found(models, f"{TINY}@v2")


async def test_a_model_that_two_commits_share_is_listed_once(cache: Path) -> None:
    commits = (COMMIT, OLD_COMMIT)
    paths = [cache_file(cache, TINY, "tiny-Q4_K_M.gguf", content(), commit=commit) for commit in commits]
    if not paths[0].is_symlink():
        pytest.skip("this system lets nobody make links")
    set_ref(cache, TINY)
    assert await ids_of(catalogue(cache)) == ["demo", f"{TINY}:Q4_K_M"]


async def test_a_split_model_counts_as_one_when_all_parts_are_there(cache: Path) -> None:
    parts = fake.split_files(3)
    names = [f"Q4_K_M/big-Q4_K_M-{index:05d}-of-00003.gguf" for index in (1, 2, 3)]
    cache_file(cache, TINY, names[0], parts[0].to_bytes())
    set_ref(cache, TINY)
    models = catalogue(cache)
    assert await ids_of(models) == ["demo"]
    for name, part in zip(names[1:], parts[1:], strict=True):
        cache_file(cache, TINY, name, part.to_bytes())
    entry = (await models.entries())[1]
    assert entry.id == f"{TINY}:Q4_K_M"
    assert [file.name for file in entry.files] == [name.rpartition("/")[2] for name in names]
    assert entry.size_bytes == sum(len(part.to_bytes()) for part in parts)


async def test_a_broken_file_in_the_cache_is_named_with_its_reason(cache: Path) -> None:
    cache_file(cache, TINY, "tiny-Q4_K_M.gguf", content()[:-100])
    set_ref(cache, TINY)
    models = catalogue(cache)
    (broken,) = (await models.overview()).unusable
    assert (broken.id, broken.source, broken.is_broken) == (f"{TINY}:Q4_K_M", ModelSource.HUB, True)
    assert "cut short" in broken.reason
    with pytest.raises(ModelLoadError, match="cut short"):
        await models.find(f"{TINY}:Q4_K_M")
    assert await models.find_any(f"{TINY}:Q4_K_M") == broken


async def test_a_download_that_ends_and_a_deletion_are_noticed(cache: Path) -> None:
    models = catalogue(cache)
    await not_found(models, TINY)
    path = cache_file(cache, TINY, "tiny-Q4_K_M.gguf", content())
    set_ref(cache, TINY)
    assert (await models.find(TINY)).path == path
    path.resolve().unlink()
    assert "not on this machine" in await not_found(models, TINY)


async def test_a_look_that_began_before_a_file_came_is_not_taken_for_one_after(cache: Path) -> None:
    models = catalogue(cache)
    early = asyncio.create_task(models.entries())
    await asyncio.sleep(0)
    cache_file(cache, TINY, "tiny-Q4_K_M.gguf", content())
    set_ref(cache, TINY)
    assert f"{TINY}:Q4_K_M" in await ids_of(models)
    await early


async def test_folders_in_the_hubs_order_answer_to_the_hubs_names(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lm-studio"
    model_file().write(folder / "org" / "Tiny-1b-GGUF" / "Tiny-1b-Q4_K_M.gguf")
    model_file("Q8").write(folder / "org" / "Tiny-1b-GGUF" / "Tiny-1b-Q8_0.gguf")
    models = catalogue(cache, folder)
    assert (await models.find("tiny:1b")).id == f"{TINY}/Tiny-1b-Q4_K_M"
    assert (await models.find(f"{TINY}:Q8_0")).id == f"{TINY}/Tiny-1b-Q8_0"
    assert (await models.find(f"{TINY}:Tiny-1b-Q8_0.gguf")).name == "Q8"


async def test_a_file_in_the_cache_and_in_a_folder_is_listed_once(cache: Path, tmp_path: Path) -> None:
    path = cache_file(cache, TINY, "tiny-Q4_K_M.gguf", content())
    set_ref(cache, TINY)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.gguf").symlink_to(path)
    models = catalogue(cache, folder, cache)
    assert await ids_of(models) == ["demo", f"{TINY}:Q4_K_M"]
    assert (await models.find(str(folder / "link.gguf"))).id == f"{TINY}:Q4_K_M"


async def test_models_without_a_file_are_listed_and_keep_their_names(cache: Path, tmp_path: Path) -> None:
    model_file().write(tmp_path / "folder" / "big.gguf")
    remote = ModelEntry(id="big", name="Big", size_bytes=0, source=ModelSource.REMOTE)
    models = LocalCatalogue(DEMO, [tmp_path / "folder"], hub_cache=cache, fixed=[remote])
    assert await ids_of(models) == ["demo", "big", "folder/big"]
    assert await models.find("big") == remote
    assert "Did you mean 'big'" in await not_found(models, "bigg")
    with pytest.raises(InvalidRequestError, match="remote_models"):
        await models.forget("big")
