"""Questions to a fake Hub: what is told, and how every failure reads."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.fake_hub import BAD_TOKEN, COMMIT, GOOD_TOKEN
from fakes.hub_user import CONTENT, FILE, REPO, HubUser, hub_user
from puna.errors import InvalidRequestError, ModelNotFoundError
from puna.hub.failures import HubBusyError, HubTokenError, HubUnreachableError, OfflineError
from puna.hub.names import HubReference
from puna.hub.reachability import PAUSE_S, Reachability


@pytest.fixture
async def user(tmp_path: Path) -> AsyncIterator[HubUser]:
    async with hub_user(tmp_path) as user:
        yield user


async def test_a_search_finds_repositories_over_several_pages_the_most_downloaded_first(
    user: HubUser,
) -> None:
    for number in range(7):
        user.hub.add(f"other/llama-{number}-GGUF", {"m-Q8_0.gguf": b"8"}, downloads=100 - number)
    user.hub.add("other/llama-base", {"model.safetensors": b"st"}, downloads=1000)
    found = await user.client.search("llama", 6)
    assert [each.id for each in found] == [f"other/llama-{number}-GGUF" for number in range(6)]
    assert len([each for each in user.hub.asked if each.path == "/api/models"]) == 2
    assert found[0].licence == "apache-2.0"
    assert (found[0].parameter_count, found[0].context_length) == (1_230_000_000, 2048)


async def test_a_repository_tells_its_files_with_sizes_and_names_of_content(user: HubUser) -> None:
    info = await user.client.info(REPO, "main")
    assert info.commit == COMMIT
    [file] = [each for each in info.files if each.name == FILE]
    assert file.size_bytes == len(CONTENT)
    assert (await user.client.metadata(REPO, FILE, COMMIT)).etag == file.etag
    assert info.updated == "2026-01-31"


async def test_a_base_repository_leads_to_its_conversion(user: HubUser) -> None:
    user.hub.add("maker/model", {"model.safetensors": b"st"})
    user.hub.add(
        "crowd/model-GGUF",
        {"m-Q4_K_M.gguf": b"4444", "m-Q8_0.gguf": b"8888"},
        base="maker/model",
        downloads=9,
    )
    user.hub.add("some/model-GGUF", {"m-Q4_K_M.gguf": b"4"}, base="maker/model", downloads=5)
    choice = await user.client.resolve(HubReference("maker/model", "Q8_0"))
    assert choice.name == "crowd/model-GGUF:Q8_0"
    assert [file.name for file in choice.files] == ["m-Q8_0.gguf"]


async def test_a_repository_that_was_renamed_keeps_the_version_that_was_asked_for(user: HubUser) -> None:
    user.hub.add("acme/old-GGUF", {"m-Q8_0.gguf": b"8"}, told_id="Acme/New-GGUF")
    choice = await user.client.resolve(HubReference("acme/old-GGUF", "Q8_0", "branch"))
    assert (choice.repo, choice.revision) == ("Acme/New-GGUF", "branch")
    user.hub.add("maker/model", {"model.safetensors": b"st"}, told_id="Maker/Model")
    user.hub.add("crowd/model-GGUF", {"m-Q8_0.gguf": b"8"}, base="Maker/Model")
    choice = await user.client.resolve(HubReference("maker/model", "Q8_0", "branch"))
    assert (choice.repo, choice.revision) == ("crowd/model-GGUF", "main")


async def test_a_repository_without_any_gguf_is_told(user: HubUser) -> None:
    user.hub.add("maker/model", {"model.safetensors": b"st"})
    with pytest.raises(ModelNotFoundError, match="has no GGUF files"):
        await user.client.resolve(HubReference("maker/model"))


async def test_names_of_files_that_could_leave_the_cache_are_not_listed(user: HubUser) -> None:
    user.hub.repos[REPO].files |= {
        "../../evil-Q4_0.gguf": b"e",
        "C:evil-Q4_0.gguf": b"e",
        "a\\b-Q4_0.gguf": b"e",
    }
    info = await user.client.info(REPO, "main")
    assert {file.name for file in info.files} == {"README.md", FILE}
    with pytest.raises(InvalidRequestError, match="is not a valid file name"):
        await user.client.metadata(REPO, "../../evil.gguf", COMMIT)


@pytest.mark.parametrize(
    ("repo", "revision", "token", "sentence"),
    [
        ("no/such", "main", None, "has no model no/such, or it is private: check the name, or add a token"),
        ("no/such", "main", GOOD_TOKEN, "or use a token that may see it"),
        ("acme/secret", "main", None, "or it is private"),
        (REPO, "v2", None, "The version v2 is not in the repository"),
    ],
)
async def test_what_is_not_there_is_told(
    user: HubUser, repo: str, revision: str, token: str | None, sentence: str
) -> None:
    user.hub.add("acme/secret", {"m.gguf": b"1"}, is_private=True)
    if token:
        user.environ["HF_TOKEN"] = token
    with pytest.raises(ModelNotFoundError, match=sentence):
        await user.client.info(repo, revision)


async def test_a_private_repository_is_open_to_its_owner(user: HubUser) -> None:
    user.hub.add("acme/secret", {"m.gguf": b"1"}, is_private=True)
    user.environ["HF_TOKEN"] = GOOD_TOKEN
    assert (await user.client.info("acme/secret", "main")).is_private


async def test_a_repository_that_was_switched_off_is_told(user: HubUser) -> None:
    user.hub.repos[REPO].is_disabled = True
    with pytest.raises(ModelNotFoundError, match="The Hub has disabled the repository acme/llama-GGUF"):
        await user.client.info(REPO, "main")


async def test_a_bad_token_is_told(user: HubUser) -> None:
    user.environ["HF_TOKEN"] = BAD_TOKEN
    with pytest.raises(HubTokenError, match="invalid or expired"):
        await user.client.info(REPO, "main")


async def test_the_rate_limit_is_told_and_not_waited_for(user: HubUser) -> None:
    user.hub.knobs.rate_limited = 1
    with pytest.raises(HubBusyError, match="try again in 7 s"):
        await user.client.search("llama", 3)
    assert len(user.hub.asked) == 1


async def test_a_broken_hub_is_told_and_not_asked_again(user: HubUser) -> None:
    user.hub.knobs.statuses = [503]
    with pytest.raises(HubUnreachableError, match="it answers with status 503"):
        await user.client.search("llama", 3)
    assert len(user.hub.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 418])
async def test_a_search_that_is_refused_is_told_without_naming_a_repository(
    user: HubUser, status: int
) -> None:
    user.hub.knobs.statuses = [status]
    with pytest.raises(HubUnreachableError, match=rf"cannot be used \(status {status}\)"):
        await user.client.search("llama", 3)


async def test_a_search_with_a_bad_token_is_told(user: HubUser) -> None:
    user.environ["HF_TOKEN"] = BAD_TOKEN
    user.hub.knobs.statuses = [401]
    with pytest.raises(HubTokenError):
        await user.client.search("llama", 3)


async def test_an_answer_of_a_depth_without_end_is_told(user: HubUser) -> None:
    user.hub.knobs.is_odd, user.hub.knobs.odd_text = True, "[" * 1_000_000
    with pytest.raises(HubUnreachableError, match="cannot be used"):
        await user.client.search("llama", 3)


def test_sizes_and_hashes_that_can_be_none_are_not_taken_over() -> None:
    from puna.hub import library

    assert [library._size(value) for value in (0, 7, -1, "7", None)] == [0, 7, None, None, None]
    assert [library._etag(value) for value in ("a" * 64, "../../evil", 5, None)] == [
        "a" * 64,
        None,
        None,
        None,
    ]


async def test_an_answer_without_end_is_cut(user: HubUser) -> None:
    user.hub.knobs.endless_answer = True
    with pytest.raises(HubUnreachableError, match="it is too long"):
        await user.client.search("llama", 3)


async def test_a_page_that_is_not_the_hubs_is_told(user: HubUser) -> None:
    user.hub.knobs.is_odd = True
    with pytest.raises(HubUnreachableError, match=r"cannot be used .*; is the setting hub_endpoint right\?"):
        await user.client.search("llama", 3)


async def test_the_next_page_at_another_origin_gets_no_token(user: HubUser) -> None:
    for number in range(5):
        user.hub.add(f"other/llama-{number}", {"m.gguf": b"8"})
    user.environ["HF_TOKEN"] = GOOD_TOKEN
    user.hub.knobs.next_page_elsewhere = True
    await user.client.search("llama", 5)
    assert {(each.host.partition(":")[0], each.token) for each in user.hub.asked} == {
        ("127.0.0.1", GOOD_TOKEN),
        ("localhost", None),
    }


async def test_the_token_stands_in_no_log(user: HubUser, caplog: pytest.LogCaptureFixture) -> None:
    user.environ["HF_TOKEN"] = GOOD_TOKEN
    with caplog.at_level(logging.DEBUG):
        await user.client.info(REPO, "main")
    assert GOOD_TOKEN not in caplog.text


# Offline


async def test_nobody_is_asked_where_a_setting_says_so(tmp_path: Path) -> None:
    async with hub_user(tmp_path, is_offline=True) as user:
        with pytest.raises(
            OfflineError, match=r"^Offline: the setting offline.*Models on disk still work\.$"
        ):
            await user.client.search("llama", 3)
        with pytest.raises(OfflineError):
            await user.client.metadata(REPO, FILE, COMMIT)
        assert user.hub.asked == []


async def test_a_network_that_is_down_is_told_at_once_and_again_without_asking(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with hub_user(tmp_path, endpoint=f"http://127.0.0.1:{closed.getsockname()[1]}") as user:
            with pytest.raises(HubUnreachableError, match=r"Cannot reach the Hub \(no connection\)"):
                await user.client.info(REPO, "main")
            with pytest.raises(OfflineError, match="Offline: the Hub could not be reached a moment ago"):
                await user.client.info(REPO, "main")


async def test_a_hub_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    async with hub_user(tmp_path, time_limit_s=0.3) as user:
        user.hub.knobs.hang = True
        async with asyncio.timeout(60):
            with pytest.raises(HubUnreachableError, match="no answer in time"):
                await user.client.info(REPO, "main")


async def test_questions_that_queue_up_behind_one_that_hangs_do_not_hang_too(tmp_path: Path) -> None:
    async with hub_user(tmp_path, time_limit_s=0.3) as user:
        user.hub.knobs.hang = True
        questions = [user.client.info(REPO, "main") for _ in range(30)]
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*questions, return_exceptions=True)
        assert {type(each) for each in outcomes} == {HubUnreachableError, OfflineError}
        assert len(user.hub.asked) <= 6


def test_the_hub_is_asked_again_a_moment_after_a_failure() -> None:
    times = iter([0.0, 1.0, PAUSE_S + 0.1])
    reachability = Reachability(is_offline=False, clock=lambda: next(times))
    reachability.note(HubUnreachableError("down"))
    with pytest.raises(OfflineError):
        reachability.check()
    reachability.check()


def test_a_patient_caller_asks_right_after_a_failure() -> None:
    reachability = Reachability(is_offline=False, clock=lambda: 0.0)
    reachability.note(HubUnreachableError("down"))
    reachability.check(is_patient=True)


def test_what_the_hub_refuses_is_no_failure_of_the_network() -> None:
    reachability = Reachability(is_offline=False, clock=lambda: 0.0)
    reachability.note(ModelNotFoundError("no"))
    reachability.check()


def test_the_library_is_loaded_with_the_first_question_only() -> None:
    script = (
        "import sys, puna.lifecycle; print([each for each in sys.modules if each.startswith('huggingface')])"
    )
    daemon = str(Path(__file__).parents[2] / "daemon")
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": daemon},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "[]\n"


# Cards


async def test_a_card_is_read_up_to_a_megabyte(user: HubUser) -> None:
    user.hub.add("acme/long", {"README.md": b"x" * 3_000_000})
    card = await user.http.text(f"{user.hub.url}/acme/long/resolve/main/README.md")
    assert card is not None
    assert len(card) == 1024 * 1024


async def test_a_repository_without_a_card_has_none(user: HubUser) -> None:
    assert await user.http.text(f"{user.hub.url}/{REPO}/resolve/main/NOPE.md") is None
