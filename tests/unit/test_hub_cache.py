"""The Hub's cache as it lies on disk, made by Puna and by other tools."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub.utils import _shared_blobs

from puna.hub.cache import RepoFolder, commit_of, find_cached, list_models, list_repos
from puna.hub.names import HubReference, parse_reference
from puna.hub.places import DEFAULT_ENDPOINT, places_in
from puna.hub.placing import link, write_ref
from puna.hub.removal import remove_files, remove_model, repo_of

OLD, NEW = "a" * 40, "b" * 40
Put = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def put(cache: Path) -> Put:
    def put(repo: str, commit: str, name: str, content: bytes = b"content", revision: str = "main") -> Path:
        folder, etag = RepoFolder(cache, repo), f"{hash(content) & (2**63 - 1):064x}"
        folder.blob(etag).parent.mkdir(parents=True, exist_ok=True)
        folder.blob(etag).write_bytes(content)
        write_ref(folder, revision=revision, commit=commit)
        return link(folder, etag=etag, commit=commit, name=name)

    return put


def names(cache: Path) -> list[str]:
    return [model.name for model in list_models(cache)]


def test_models_are_found_in_place(cache: Path, put: Put) -> None:
    path = put("org/repo", NEW, "m-Q4_K_M.gguf")
    put("org/repo", NEW, "README.md")
    [model] = list_models(cache)
    assert (model.name, model.files, model.commit, model.is_current) == (
        "org/repo:Q4_K_M",
        (path,),
        NEW,
        True,
    )


def test_a_split_is_one_model_and_a_projection_belongs_to_it(cache: Path, put: Put) -> None:
    parts = [put("org/repo", NEW, f"m-Q8_0-0000{n}-of-00002.gguf", b"%d" % n) for n in (1, 2)]
    projection = put("org/repo", NEW, "mmproj-f16.gguf")
    [model] = list_models(cache)
    assert (model.files, model.projection) == (tuple(parts), projection)


def test_a_split_of_which_parts_are_missing_is_no_model(cache: Path, put: Put) -> None:
    put("org/repo", NEW, "m-Q8_0-00001-of-00002.gguf")
    assert list_models(cache) == []


def test_an_older_commit_stands_under_its_own_name(cache: Path, put: Put) -> None:
    put("org/repo", OLD, "m-Q8_0.gguf", b"old")
    put("org/repo", NEW, "m-Q8_0.gguf", b"new")
    assert names(cache) == ["org/repo:Q8_0", f"org/repo:Q8_0@{OLD}"]
    assert all(parse_reference(name) is not None for name in names(cache))


def test_two_files_of_one_quantisation_have_two_names(cache: Path, put: Put) -> None:
    put("org/repo", NEW, "a-Q8_0.gguf", b"a")
    put("org/repo", NEW, "b-Q8_0.gguf", b"b")
    assert names(cache) == ["org/repo:Q8_0", "org/repo:b-Q8_0.gguf"]


def test_a_link_to_a_blob_that_is_gone_is_no_model(cache: Path, put: Put) -> None:
    put("org/repo", NEW, "m-Q8_0.gguf").resolve().unlink()
    assert list_models(cache) == []


def test_what_is_no_cache_has_no_models(cache: Path) -> None:
    assert list_models(cache) == []
    (cache / "models--odd").mkdir(parents=True)
    (cache / "datasets--org--data").mkdir()
    (cache / "models--org--repo" / "snapshots" / "no-commit").mkdir(parents=True)
    assert list_repos(cache) == ["org/repo"]
    assert list_models(cache) == []


def test_a_ref_that_is_no_commit_tells_nothing(cache: Path, put: Put) -> None:
    put("org/repo", NEW, "m-Q8_0.gguf")
    folder = RepoFolder(cache, "org/repo")
    assert commit_of(folder, "main") == NEW
    folder.ref("main").write_text("../../../etc")
    assert commit_of(folder, "main") is None


@pytest.mark.parametrize("tag", [None, "q8_0", "m-Q8_0.gguf", "m-q8_0"])
def test_a_cached_model_is_found_by_what_people_write(cache: Path, put: Put, tag: str | None) -> None:
    path = put("org/repo", NEW, "m-Q8_0.gguf")
    found = find_cached(cache, HubReference("org/repo", tag))
    assert found is not None
    assert found.files == (path,)


def test_what_is_not_cached_is_not_found(cache: Path, put: Put) -> None:
    put("org/repo", NEW, "m-Q8_0.gguf")
    assert find_cached(cache, HubReference("org/repo", "Q4_0")) is None
    assert find_cached(cache, HubReference("org/other")) is None
    assert find_cached(cache, HubReference("org/repo", None, OLD)) is None


def test_removing_frees_the_blob_and_keeps_what_others_link_to(cache: Path, put: Put) -> None:
    shared = put("org/repo", OLD, "m-Q8_0.gguf", b"shared")
    put("org/repo", NEW, "m-Q8_0.gguf", b"shared")
    own = put("org/repo", NEW, "m-Q4_0.gguf", b"own!")
    blob = own.resolve()
    assert remove_files(cache, "org/repo", [own, shared]) == len(b"own!")
    assert not blob.exists()
    assert names(cache) == ["org/repo:Q8_0"]


def test_a_repository_without_files_goes_as_a_whole(cache: Path, put: Put) -> None:
    path = put("org/repo", NEW, "m-Q8_0.gguf", b"12345")
    assert remove_files(cache, "org/repo", [path]) == 5
    assert not RepoFolder(cache, "org/repo").path.exists()


def share(cache: Path, shown: Path, xet_hash: str) -> Path:
    """Move the content behind a file into the store that repositories share, as `huggingface_hub` does."""
    blob = shown.parent / shown.readlink()
    blob = blob.parent.resolve() / blob.name
    assert _shared_blobs.publish_blob_to_shared_store(
        blob_path=str(blob), xet_hash=xet_hash, cache_dir=cache, expected_size=blob.stat().st_size
    )
    assert blob.is_symlink()
    return _shared_blobs.shared_blob_path(cache, xet_hash)


def test_what_another_repository_has_of_the_shared_store_stays(cache: Path, put: Put) -> None:
    first = put("org/repo", NEW, "m-Q8_0.gguf", b"shared")
    second = put("org/fork", NEW, "m-Q8_0.gguf", b"shared")
    store = share(cache, first, "a" * 64)
    assert share(cache, second, "a" * 64) == store
    assert names(cache) == ["org/fork:Q8_0", "org/repo:Q8_0"]
    assert remove_model(cache, [first]) == 0
    assert not RepoFolder(cache, "org/repo").path.exists()
    assert second.read_bytes() == b"shared"
    assert remove_model(cache, [second]) == len(b"shared")
    assert not store.exists()


def test_a_file_that_the_user_keeps_elsewhere_stays(cache: Path, put: Put, tmp_path: Path) -> None:
    elsewhere = tmp_path / "precious.gguf"
    elsewhere.write_bytes(b"precious")
    path = put("org/repo", NEW, "m-Q8_0.gguf", b"12345")
    path.unlink()
    path.symlink_to(elsewhere)
    assert remove_model(cache, [path]) == 0
    assert not path.is_symlink()
    assert elsewhere.read_bytes() == b"precious"


def test_parts_that_are_gone_already_do_not_keep_the_others(cache: Path, put: Put) -> None:
    first, second = (put("org/repo", NEW, f"m-0000{n}-of-00002.gguf", b"12" * n) for n in (1, 2))
    first.resolve().unlink()
    assert remove_files(cache, "org/repo", [first, second, first.with_name("m-00003-of-00003.gguf")]) == 4
    assert not RepoFolder(cache, "org/repo").path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_a_ref_can_be_read_by_who_can_read_the_cache(cache: Path, put: Put) -> None:
    put("org/repo", NEW, "m-Q8_0.gguf")
    ref = RepoFolder(cache, "org/repo").ref("main")
    assert ref.stat().st_mode & 0o777 == ref.parent.stat().st_mode & 0o666
    assert ref.read_text() == NEW


def test_nothing_outside_of_snapshots_is_removed(cache: Path, put: Put, tmp_path: Path) -> None:
    put("org/repo", NEW, "m-Q8_0.gguf")
    other = tmp_path / "other.gguf"
    other.touch()
    with pytest.raises(ValueError, match="no file of a snapshot"):
        remove_files(cache, "org/repo", [other])
    assert other.exists()


def test_the_last_model_takes_its_projection_along(cache: Path, put: Put) -> None:
    small, large = (
        put("org/repo", NEW, "m-Q4_0.gguf", b"4444"),
        put("org/repo", NEW, "m-Q8_0.gguf", b"88888888"),
    )
    projection = put("org/repo", NEW, "mmproj-f16.gguf", b"mm")
    assert remove_model(cache, [small]) == 4
    assert projection.exists()
    assert remove_model(cache, [large]) == 10
    assert not RepoFolder(cache, "org/repo").path.exists()


def test_a_file_tells_its_repository(cache: Path, put: Put, tmp_path: Path) -> None:
    assert repo_of(cache, put("org/repo-x", NEW, "m-Q8_0.gguf")) == "org/repo-x"
    assert repo_of(cache, tmp_path / "m.gguf") is None
    assert repo_of(cache, cache / "other" / "m.gguf") is None
    with pytest.raises(ValueError, match="not in the cache"):
        remove_model(cache, [tmp_path / "m.gguf"])


# Places

_ASK_LIBRARY = (
    "from huggingface_hub import constants as c;"
    "print(c.HF_HUB_CACHE, c.HF_TOKEN_PATH, c.ENDPOINT, c.HF_HUB_OFFLINE, sep='|')"
)
_ASK_PUNA = (
    "from puna.hub.places import places_in; p = places_in();"
    "print(p.cache, p.token_file, p.endpoint, p.is_offline, sep='|')"
)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HF_HOME": "/data/hf"},
        {"XDG_CACHE_HOME": "/data/cache"},
        {"HF_HUB_CACHE": "~/hub", "HF_TOKEN_PATH": "/secrets/token"},
        {"HUGGINGFACE_HUB_CACHE": "/old/hub", "HF_ENDPOINT": "https://hub.example/", "HF_HUB_OFFLINE": "yes"},
        {"HF_HOME": "$HOME/hf", "TRANSFORMERS_OFFLINE": "1"},
    ],
)
def test_the_librarys_own_rules_say_where_things_are(environ: dict[str, str], tmp_path: Path) -> None:
    environ = {**environ, "HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", _ASK_LIBRARY], env=environ, capture_output=True, text=True, check=True
    )
    daemon = str(Path(__file__).parents[2] / "daemon")
    ours = subprocess.run(
        [sys.executable, "-c", _ASK_PUNA],
        env={**environ, "PYTHONPATH": daemon},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ours.stdout == told.stdout


def test_without_variables_the_public_hub_is_asked() -> None:
    places = places_in({})
    assert (places.endpoint, places.is_offline) == (DEFAULT_ENDPOINT, False)
