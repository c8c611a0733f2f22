"""One file from a fake Hub into the cache, with everything that can go wrong on the way."""

import asyncio
import errno
import hashlib
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import filelock
import pytest

from fakes.fake_hub import BAD_TOKEN, COMMIT, GOOD_TOKEN, STRANGER_TOKEN, etag_of
from fakes.hub_user import CONTENT, FILE, REPO, HubUser, Watcher, hub_user, wanted_file
from fakes.running_daemon import until
from puna.errors import ModelNotFoundError, StoreError
from puna.hub.cache import RepoFolder, list_models
from puna.hub.failures import (
    DamagedDownloadError,
    DiskFullError,
    GatedModelError,
    HubBusyError,
    HubTokenError,
    HubUnreachableError,
)
from puna.hub.partial import PartFile
from puna.hub.placing import write_ref

ETAG = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
async def user(tmp_path: Path) -> AsyncIterator[HubUser]:
    async with hub_user(tmp_path) as user:
        yield user


def folder_of(user: HubUser) -> RepoFolder:
    return RepoFolder(user.cache, REPO)


async def test_a_file_lies_where_other_tools_look_for_it(user: HubUser) -> None:
    path = await user.transfer().fetch(wanted_file(), Watcher())
    assert path == user.cache / "models--acme--llama-GGUF" / "snapshots" / COMMIT / FILE
    assert path.read_bytes() == CONTENT
    assert str(path.readlink()) == f"../../blobs/{ETAG}"
    assert not folder_of(user).part(ETAG).exists()


async def test_progress_ends_at_the_size_and_never_falls(user: HubUser) -> None:
    watcher = Watcher()
    await user.transfer().fetch(wanted_file(), watcher)
    assert watcher.have_bytes == sorted(watcher.have_bytes)
    assert watcher.have_bytes[-1] == len(CONTENT)
    assert watcher.notes[-1] == "checking"


async def test_a_file_that_is_there_is_not_asked_for(user: HubUser) -> None:
    await user.transfer().fetch(wanted_file(), Watcher())
    user.hub.asked.clear()
    watcher = Watcher()
    await user.transfer().fetch(wanted_file(), watcher)
    assert user.hub.asked == []
    assert watcher.have_bytes == [len(CONTENT)]


async def test_content_under_another_name_is_linked_and_not_fetched_again(user: HubUser) -> None:
    user.hub.repos[REPO].files["copy.gguf"] = CONTENT
    await user.transfer().fetch(wanted_file(), Watcher())
    path = await user.transfer().fetch(wanted_file(name="copy.gguf"), Watcher())
    assert path.read_bytes() == CONTENT
    assert len(user.hub.content()) == 1


async def test_a_small_file_is_checked_by_gits_own_hash(user: HubUser) -> None:
    path = await user.transfer().fetch(wanted_file(name="README.md"), Watcher())
    assert path.read_bytes() == b"# A llama\n"
    user.hub.repos[REPO].files["other.md"] = b"one"
    user.hub.knobs.etag_lie = etag_of("other.md", b"two")
    with pytest.raises(DamagedDownloadError):
        await user.transfer().fetch(wanted_file(name="other.md"), Watcher())


async def test_a_file_in_a_folder_keeps_its_folder(user: HubUser) -> None:
    user.hub.repos[REPO].files["Q8_0/llama-Q8_0.gguf"] = b"eight"
    path = await user.transfer().fetch(wanted_file(name="Q8_0/llama-Q8_0.gguf"), Watcher())
    assert path.read_bytes() == b"eight"
    assert str(path.readlink()).startswith("../../../blobs/")


# Resuming


async def test_a_cut_connection_goes_on_at_the_byte_where_it_stopped(user: HubUser) -> None:
    user.hub.knobs.cut_after = 1_000_000
    path = await user.transfer().fetch(wanted_file(), Watcher())
    assert path.read_bytes() == CONTENT
    first, second = user.hub.content()
    assert first.range is None
    assert second.range is not None
    begin = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert 0 < begin <= first.sent
    assert second.sent == len(CONTENT) - begin


async def test_a_cancelled_transfer_keeps_what_came_and_goes_on_from_there(user: HubUser) -> None:
    user.hub.knobs.delay_s = 0.005
    task: asyncio.Task[Path]
    watcher = Watcher(on_arrival=lambda have: have > 500_000 and task.cancel())
    task = asyncio.create_task(user.transfer().fetch(wanted_file(), watcher))
    with pytest.raises(asyncio.CancelledError):
        await task
    have = folder_of(user).part(ETAG).stat().st_size
    assert 500_000 < have < len(CONTENT)
    user.hub.asked.clear()
    path = await user.transfer().fetch(wanted_file(), Watcher())
    assert path.read_bytes() == CONTENT
    [asked] = user.hub.content()
    assert asked.range == f"bytes={have}-"
    assert asked.sent == len(CONTENT) - have


async def test_a_transfer_that_is_cancelled_while_its_bytes_are_made_safe_leaves_no_file_that_nobody_sees(
    user: HubUser,
) -> None:
    has_begun, may_go_on = threading.Event(), threading.Event()

    class SlowDisk(PartFile):
        def _find_damage(self) -> str | None:
            has_begun.set()
            may_go_on.wait(60)
            return super()._find_damage()

    user.make_part = SlowDisk
    task = asyncio.create_task(user.transfer().fetch(wanted_file(), Watcher()))
    await until(has_begun.is_set)
    task.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    folder = folder_of(user)
    assert not folder.part(ETAG).exists()
    assert folder.file(COMMIT, FILE).read_bytes() == CONTENT


async def test_a_part_of_another_content_is_found_out_and_removed(user: HubUser) -> None:
    part = folder_of(user).part(ETAG)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(DamagedDownloadError, match="is removed"):
        await user.transfer().fetch(wanted_file(), Watcher())
    assert not part.exists()
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT


async def test_a_part_that_is_too_long_begins_anew(user: HubUser) -> None:
    part = folder_of(user).part(ETAG)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"x")
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT
    assert user.hub.content()[0].range is None


async def test_a_part_that_is_complete_needs_no_content(user: HubUser) -> None:
    part = folder_of(user).part(ETAG)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT
    assert user.hub.content() == []


async def test_a_server_that_ignores_ranges_sends_everything_again(user: HubUser) -> None:
    user.hub.knobs.cut_after, user.hub.knobs.ignores_ranges = 1_000_000, True
    path = await user.transfer().fetch(wanted_file(), Watcher())
    assert path.read_bytes() == CONTENT
    assert user.hub.content()[1].sent == len(CONTENT)


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:port/x",
        f"http://{'a' * 70}.example/x",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_to_nowhere_is_told(user: HubUser, location: str) -> None:
    user.hub.knobs.odd_location = location
    with pytest.raises(HubUnreachableError, match="redirects to an odd address"):
        await user.transfer(max_tries=0).fetch(wanted_file(), Watcher())
    with pytest.raises(HubUnreachableError, match="redirects to an odd address"):
        await user.http.text(f"{user.hub.url}/cdn/0/{REPO}/README.md")


async def test_a_page_in_place_of_the_file_costs_nothing_that_has_arrived(user: HubUser) -> None:
    part = folder_of(user).part(ETAG)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    user.hub.knobs.cdn_statuses = [200, 200]
    path = await user.transfer().fetch(wanted_file(), watcher := Watcher())
    assert path.read_bytes() == CONTENT
    assert any("neither the rest nor the whole file" in note for note in watcher.notes)
    assert [each.range for each in user.hub.content()] == ["bytes=1000-"] * 3


async def test_a_stalled_connection_is_left_for_another(tmp_path: Path) -> None:
    async with hub_user(tmp_path, stall_s=0.2) as user:
        user.hub.knobs.stall_after = 1_000_000
        path = await user.transfer().fetch(wanted_file(), watcher := Watcher())
        assert path.read_bytes() == CONTENT
        assert any(note.startswith("no answer in time") for note in watcher.notes)


async def test_an_expired_signature_is_asked_for_anew_without_a_pause(user: HubUser) -> None:
    user.hub.knobs.cdn_statuses = [403]
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT
    assert [each.method for each in user.hub.asked] == ["HEAD", "GET", "HEAD", "GET"]
    assert user.pauses == []


async def test_a_refused_range_begins_anew(user: HubUser) -> None:
    part = folder_of(user).part(ETAG)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    user.hub.knobs.cdn_statuses = [416]
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT
    assert [each.range for each in user.hub.content()] == ["bytes=1000-", None]


async def test_connections_that_bring_nothing_are_given_up_with_longer_and_longer_pauses(
    user: HubUser,
) -> None:
    user.hub.knobs.cdn_statuses = [503] * 9
    with pytest.raises(HubUnreachableError, match=r"Cannot reach the Hub: the download of .* is kept"):
        await user.transfer(max_tries=4).fetch(wanted_file(), Watcher())
    assert user.pauses == [1, 2, 4, 8]


async def test_connections_that_bring_something_are_not_given_up(user: HubUser) -> None:
    user.hub.knobs.cut_after, user.hub.knobs.cuts_always = 300_000, True
    path = await user.transfer(max_tries=3).fetch(wanted_file(), Watcher())
    assert path.read_bytes() == CONTENT


async def test_the_hubs_rate_limit_is_waited_for(user: HubUser) -> None:
    user.hub.knobs.cdn_statuses = [503]
    user.hub.knobs.statuses = []

    async def limit(pause_s: float) -> None:
        user.pauses.append(pause_s)
        user.hub.knobs.rate_limited = 1 if len(user.pauses) == 1 else 0

    transfer = user.transfer()
    transfer._receiver._sleep = limit
    assert (await transfer.fetch(wanted_file(), Watcher())).read_bytes() == CONTENT
    assert user.pauses == [1, 7]


# Lies


async def test_a_lie_about_the_size_is_told_and_nothing_is_kept(user: HubUser) -> None:
    user.hub.knobs.size_lie = 5
    with pytest.raises(DamagedDownloadError, match="3000000 bytes are sent, 3000005 were promised"):
        await user.transfer().fetch(wanted_file(), Watcher())
    assert list((folder_of(user).path / "blobs").iterdir()) == []


async def test_a_lie_about_the_size_is_told_where_a_range_tells_it(user: HubUser) -> None:
    part = folder_of(user).part(ETAG)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    user.hub.knobs.size_lie = 5
    with pytest.raises(DamagedDownloadError, match="3000005 were promised"):
        await user.transfer().fetch(wanted_file(), Watcher())
    assert not part.exists()


async def test_a_lie_about_the_hash_is_told_and_nothing_is_kept(user: HubUser) -> None:
    user.hub.knobs.etag_lie = "0" * 64
    with pytest.raises(DamagedDownloadError, match="its hash is another one"):
        await user.transfer().fetch(wanted_file(), Watcher())
    assert list((folder_of(user).path / "blobs").iterdir()) == []
    assert not folder_of(user).file(COMMIT, FILE).exists()


async def test_more_bytes_than_promised_are_not_taken(user: HubUser) -> None:
    user.hub.knobs.extra_bytes = 1
    with pytest.raises(DamagedDownloadError, match="more than the 3000000 bytes"):
        await user.transfer().fetch(wanted_file(), Watcher())


async def test_content_that_changes_under_way_begins_anew_under_its_new_name(user: HubUser) -> None:
    user.hub.knobs.cut_after = 1_000_000
    changed = b"other " * 1000

    async def change(pause_s: float) -> None:
        user.hub.repos[REPO].files[FILE] = changed

    transfer = user.transfer()
    transfer._receiver._sleep = change
    assert (await transfer.fetch(wanted_file(), Watcher())).read_bytes() == changed
    assert [each.name for each in (folder_of(user).path / "blobs").iterdir()] == [etag_of(FILE, changed)]


# The disk


class SmallDisk(PartFile):
    """A disk on which so many bytes fit."""

    room = 1_000_000

    def _write_some(self, stream: object, data: memoryview) -> int:
        left = self.room - self.size_bytes
        if left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super()._write_some(stream, data[:left])  # type: ignore[arg-type]


async def test_a_disk_that_runs_full_keeps_what_came_and_says_so(user: HubUser) -> None:
    user.make_part = SmallDisk
    with pytest.raises(DiskFullError, match=r"1\.0 MB of 3\.0 MB of .* are kept"):
        await user.transfer().fetch(wanted_file(), Watcher())
    assert folder_of(user).part(ETAG).read_bytes() == CONTENT[: SmallDisk.room]
    user.make_part = PartFile
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT
    assert user.hub.content()[-1].range == f"bytes={SmallDisk.room}-"


async def test_a_file_that_does_not_fit_is_not_begun(user: HubUser) -> None:
    user.free = lambda _: 2_500_000
    with pytest.raises(DiskFullError, match=r"4\.0 MB are needed, 2\.5 MB are free"):
        await user.transfer(reserve_bytes=1_000_000).fetch(wanted_file(), Watcher())
    assert user.hub.content() == []


async def test_a_cache_that_cannot_be_written_is_told_without_a_path(user: HubUser) -> None:
    user.cache.parent.mkdir(exist_ok=True)
    user.cache.write_text("a file")
    with pytest.raises(StoreError, match="cannot be written") as error:
        await user.transfer().fetch(wanted_file(), Watcher())
    assert str(user.cache) not in error.value.message


async def test_where_links_are_not_allowed_the_file_is_moved(
    user: HubUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    path = await user.transfer().fetch(wanted_file(), Watcher())
    assert not path.is_symlink()
    assert path.read_bytes() == CONTENT
    user.hub.asked.clear()
    await user.transfer().fetch(wanted_file(), Watcher())
    assert user.hub.content() == []


async def test_another_program_with_the_lock_is_waited_for(user: HubUser) -> None:
    lock_path = folder_of(user).lock(ETAG)
    lock_path.parent.mkdir(parents=True)
    lock = filelock.FileLock(lock_path, is_singleton=False)
    lock.acquire()
    transfer, watcher = user.transfer(), Watcher()

    async def let_go(pause_s: float) -> None:
        assert user.hub.content() == []
        lock.release()

    transfer._sleep = let_go
    assert (await transfer.fetch(wanted_file(), watcher)).read_bytes() == CONTENT
    assert watcher.notes[0] == "another program downloads this file; waiting for it"


async def test_two_who_want_the_same_file_fetch_it_once(user: HubUser) -> None:
    user.hub.knobs.delay_s = 0.005
    one, other = user.transfer(), user.transfer()
    one._sleep = other._sleep = asyncio.sleep
    paths = await asyncio.gather(*(each.fetch(wanted_file(), Watcher()) for each in (one, other)))
    assert paths[0] == paths[1]
    assert len(user.hub.content()) == 1


# Other tools

_ASK_LIBRARY = """
import sys
from huggingface_hub import hf_hub_download, scan_cache_dir
print(hf_hub_download(sys.argv[1], sys.argv[2], local_files_only=sys.argv[3] == "offline", endpoint=sys.argv[4]))
print(len(scan_cache_dir().warnings))
"""


async def ask_library(user: HubUser, mode: str) -> list[str]:
    environ = {
        "HF_HUB_CACHE": str(user.cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ASK_LIBRARY, REPO, FILE, mode, user.hub.url, env=environ, stdout=PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().split()


async def test_the_hubs_own_library_finds_what_puna_fetched(user: HubUser) -> None:
    path = await user.transfer().fetch(wanted_file(), Watcher())
    write_ref(folder_of(user), revision="main", commit=COMMIT)
    assert await ask_library(user, "offline") == [str(path), "0"]


async def test_puna_finds_what_the_hubs_own_library_fetched(user: HubUser) -> None:
    [path, _] = await ask_library(user, "online")
    [model] = list_models(user.cache)
    assert [str(file) for file in model.files] == [path]
    user.hub.asked.clear()
    assert str(await user.transfer().fetch(wanted_file(), Watcher())) == path
    assert user.hub.asked == []


# Who may


async def test_the_token_goes_to_the_hub_and_to_no_other_host(user: HubUser) -> None:
    user.environ["HF_TOKEN"] = GOOD_TOKEN
    user.hub.knobs.redirects = 2
    await user.transfer().fetch(wanted_file(), Watcher())
    tokens = {(each.host.partition(":")[0], each.token) for each in user.hub.asked}
    assert tokens == {("127.0.0.1", GOOD_TOKEN), ("localhost", None)}


@pytest.mark.parametrize(
    ("token", "error", "sentence"),
    [
        (None, GatedModelError, "needs its licence to be accepted"),
        (STRANGER_TOKEN, GatedModelError, "has no access to acme/llama-GGUF yet"),
        (BAD_TOKEN, HubTokenError, "invalid or expired"),
    ],
)
async def test_a_gated_repository_says_what_to_do(
    user: HubUser, token: str | None, error: type[Exception], sentence: str
) -> None:
    user.hub.repos[REPO].is_gated = True
    if token:
        user.environ["HF_TOKEN"] = token
    with pytest.raises(error, match=sentence):
        await user.transfer().fetch(wanted_file(), Watcher())


async def test_a_gated_repository_is_open_to_who_accepted(user: HubUser) -> None:
    user.hub.repos[REPO].is_gated = True
    user.environ["HF_TOKEN"] = GOOD_TOKEN
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT


async def test_an_unknown_file_is_told(user: HubUser) -> None:
    with pytest.raises(ModelNotFoundError, match=r"The file no\.gguf is not in the repository"):
        await user.transfer().fetch(wanted_file(name="no.gguf"), Watcher())


async def test_the_rate_limit_at_the_beginning_is_waited_for_and_told_at_last(user: HubUser) -> None:
    user.hub.knobs.rate_limited = 1
    assert (await user.transfer().fetch(wanted_file(), Watcher())).read_bytes() == CONTENT
    assert user.pauses == [7]
    user.hub.knobs.rate_limited = 5
    with pytest.raises(HubBusyError, match="try again in 7 s; a token raises the limit") as error:
        await user.transfer(max_tries=4).fetch(wanted_file(name="README.md"), Watcher())
    assert error.value.retry_after_s == 7


async def test_a_network_that_comes_back_is_waited_for(user: HubUser) -> None:
    user.hub.knobs.statuses = [503, 503]
    watcher = Watcher()
    assert (await user.transfer().fetch(wanted_file(), watcher)).read_bytes() == CONTENT
    assert user.pauses == [10, 10]
    assert watcher.notes[0].startswith("Cannot reach the Hub (it answers with status 503)")
