"""The `context` of `/api/generate` keeps a conversation going, through clients that know nothing of it."""

import json
from typing import Any

import aiohttp
import ollama
import pytest
from msgspec.structs import replace

from fakes.asking import post
from fakes.running_daemon import RunningDaemon
from fakes.scripted_model import Script
from puna.api.ollama.memory import from_numbers, to_numbers
from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, Prompt, ReasoningDelta, TextPrompt
from puna.errors import InvalidRequestError

TURNS = (
    Message(Role.SYSTEM, "Be brief."),
    Message(Role.USER, "Why is the sky blue?\n\u2028\U0001f999"),
    Message(Role.ASSISTANT, "It scatters."),
)
WHOLE = {"model": "demo", "prompt": "Why is the sky blue?", "stream": False}
PATH = "/api/generate"


@pytest.mark.parametrize("text", ["", "x", "ab", "abc", "abcd", "\0" * 1000], ids=len)
def test_a_conversation_comes_back_as_it_was(text: str) -> None:
    turns = (*TURNS, Message(Role.USER, text))
    numbers = to_numbers(turns)
    assert from_numbers(numbers) == turns
    assert all(0 <= number < 2**31 for number in numbers)


def test_a_very_long_conversation_is_not_kept() -> None:
    assert to_numbers((Message(Role.USER, "x" * 600_000),)) == ()
    assert from_numbers(to_numbers((Message(Role.USER, "x" * 500_000),)))[0].content == "x" * 500_000


_GOOD = to_numbers(TURNS)


@pytest.mark.parametrize(
    "numbers",
    [
        [1],
        [1, 2, 3],
        list(_GOOD[:1]),
        list(_GOOD[:2]),
        list(_GOOD[:-1]),
        [_GOOD[0], -1, *_GOOD[2:]],
        [*_GOOD[:2], _GOOD[2] ^ 1, *_GOOD[3:]],
        [*_GOOD[:2], -1, *_GOOD[3:]],
        [*_GOOD[:2], 2**24, *_GOOD[3:]],
        [*_GOOD[:2], 10**30, *_GOOD[3:]],
        [_GOOD[0], 10**6, *([0] * 400_000)],
    ],
    ids=lambda numbers: f"{len(numbers)} numbers",
)
def test_other_numbers_are_refused(numbers: list[int]) -> None:
    with pytest.raises(InvalidRequestError, match="`context` must be what an earlier answer"):
        from_numbers(numbers)


def test_a_few_numbers_cannot_stand_for_endless_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("puna.api.ollama.memory._MOST_BYTES", 50_000_000)
        bomb = to_numbers((Message(Role.USER, "x" * 4_000_000),))
    assert len(bomb) < 20_000
    with pytest.raises(InvalidRequestError, match="`context` must be"):
        from_numbers(bomb)


def said(prompt: Prompt) -> list[tuple[str, str]]:
    assert isinstance(prompt, ChatPrompt)
    return [(turn.role.value, turn.content) for turn in prompt.messages]


async def stream(client: aiohttp.ClientSession, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with client.post(PATH, json=body | {"stream": True}) as answer:
        return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_the_next_prompt_is_asked_behind_the_earlier_turns(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.script = Script(deltas=(ReasoningDelta("Hm."), "It ", "scatters."))
    first = await post(keyed, PATH, WHOLE | {"system": "Be brief."})
    *lines, last = await stream(keyed, WHOLE | {"prompt": "And at dusk?", "context": first["context"]})
    assert not any("context" in line for line in lines)
    await post(keyed, PATH, WHOLE | {"prompt": "Why?", "system": "Be loud.", "context": last["context"]})
    second, third = [said(request.prompt) for request in daemon.worker.requests[1:]]
    earlier = [("user", "Why is the sky blue?"), ("assistant", "It scatters."), ("user", "And at dusk?")]
    assert second == [("system", "Be brief."), *earlier]
    assert third == [("system", "Be loud."), *earlier, ("assistant", "It scatters."), ("user", "Why?")]


async def test_a_model_without_a_template_goes_on_from_its_text(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    daemon.launcher.loaded = replace(daemon.launcher.loaded, has_chat_template=False)
    first = await post(keyed, PATH, WHOLE | {"prompt": "Once"})
    await post(keyed, PATH, WHOLE | {"prompt": " and then", "context": first["context"]})
    assert daemon.worker.requests[1].prompt == TextPrompt("OnceHello world and then")


@pytest.mark.parametrize("field", [{"raw": True}, {"suffix": "}"}], ids=str)
async def test_what_is_no_conversation_has_no_context(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, field: dict[str, Any]
) -> None:
    daemon.launcher.loaded = replace(daemon.launcher.loaded, can_infill=True)
    assert "context" not in await post(keyed, PATH, WHOLE | field)
    assert not any("context" in line for line in await stream(keyed, WHOLE | field))


async def test_numbers_of_another_server_are_refused_before_the_model_is_loaded(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession
) -> None:
    refused = await post(keyed, PATH, WHOLE | {"context": [128006, 882, 128007]}, status=400)
    assert refused["error"].startswith("`context` must be")
    assert daemon.services.residency.residents() == ()


async def test_the_real_client_hands_it_on(daemon: RunningDaemon, key: str) -> None:
    async with ollama.AsyncClient(host=daemon.url, headers={"X-Api-Key": key}) as client:
        first = await client.generate(model="demo", prompt="Why is the sky blue?")
        await client.generate(model="demo", prompt="And at dusk?", context=first.context)
    assert [role for role, _ in said(daemon.worker.requests[1].prompt)] == ["user", "assistant", "user"]
