"""The examples of the API documents, run as they are printed, with only address, key and model name replaced.

`*_examples.txt` are those parts of the documents. ModelStudio's have a test file of their own.
"""

import json
import re
from pathlib import Path

import aiohttp
import pytest

from fakes.asking import post
from fakes.example_programs import run_bash, run_cmd, run_javascript
from fakes.running_daemon import RunningDaemon
from fakes.scripted_model import Script, entry_of
from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, GenerationRequest, Sampling, TextPrompt

FOLDER = Path(__file__).parent
ANSWER = "Due to Rayleigh scattering, it's \u201cblue\u201d \U0001f999."


def examples(dialect: str, *replacements: tuple[str, str]) -> list[str]:
    """Return the examples of a document in their order, with these texts replaced, each of which must be there."""
    text = (FOLDER / f"{dialect}_examples.txt").read_text("utf-8")
    for printed, ours in replacements:
        assert printed in text
        text = text.replace(printed, ours)
    return re.split(r"\n(?=# |const response)|(?<=\})\n(?=curl )", text.rstrip("\n"))


def answer(request: GenerationRequest) -> Script:
    """Return the object of Lamini's document where one is asked for."""
    return Script(
        deltas=('{"age":10,', '"units":"years"}') if request.constraint else (ANSWER[:9], ANSWER[9:])
    )


@pytest.fixture
async def running(daemon: RunningDaemon) -> RunningDaemon:
    daemon.launcher.script = answer
    return daemon


def spin_up(daemon: RunningDaemon, key: str) -> list[str]:
    return examples(
        "spin_up",
        ("https://ke35xrs4.spin-up.ai", daemon.url),
        ("94d23bc5-892a-42dc-a2e9-2b94613ab1f2", key),
        ("llama3.2:1b", "demo"),
    )


async def test_spin_up_s_curl(running: RunningDaemon, key: str) -> None:
    curl, _ = spin_up(running, key)
    told = json.loads(await run_cmd(curl))
    assert (told["model"], told["output"], told["usage"]["tokens"]) == ("demo", ANSWER, 7)
    assert isinstance(told["id"], str)
    question = ChatPrompt((Message(Role.USER, "Why is the sky blue?"),))
    assert running.worker.requests[0].prompt == question


async def test_spin_up_s_javascript(running: RunningDaemon, key: str) -> None:
    _, javascript = spin_up(running, key)
    printed = await run_javascript(javascript)
    assert "Due to Rayleigh scattering" in printed
    assert re.search(r"usage: \{ tokens: 7\b", printed)


async def test_aitextgen_s_curl(running: RunningDaemon, key: str) -> None:
    (curl,) = examples("aitextgen", ("https://api.cryptid.finance", running.url), ("YOUR_API_KEY", key))
    told = json.loads(await run_bash(curl))
    assert told == {"generated_text": ANSWER, "tokens_generated": 2, "generation_time": 0.0}
    (request,) = running.worker.requests
    assert request == GenerationRequest(
        prompt=TextPrompt("Once upon a time"),
        sampling=Sampling(temperature=0.8, top_p=0.9),
        max_tokens=100,
    )


def lamini(daemon: RunningDaemon, key: str) -> list[str]:
    return examples(
        "lamini",
        ("https://api.lamini.ai", daemon.url),
        ("<LAMINI_API_KEY>", key),
        ("<YOUR_MODEL_NAME>", "demo"),
        ("meta-llama/Llama-2-7b-chat-hf", "demo"),
    )


async def test_lamini_s_curl(running: RunningDaemon, key: str) -> None:
    _, curl = lamini(running, key)
    printed = await run_bash(curl)
    assert printed == '[{"age":10,"units":"years"},{"age":10,"units":"years"}]'


async def test_lamini_s_body(running: RunningDaemon, key: str, keyed: aiohttp.ClientSession) -> None:
    """The document's body has one comma too much, and is refused for that alone."""
    body, _ = lamini(running, key)
    running.launcher.script = Script(deltas=('{"Answer":"In summer."}',))
    async with keyed.post("/v1/completions", data=body) as refused:
        assert refused.status == 400
        assert "not valid JSON" in (await refused.json())["detail"]
    told = await post(keyed, "/v1/completions", json.loads(body.replace('"},\n}', '"}\n}')))
    assert told == {"Answer": "In summer."}


LOCALLAB = examples("locallab")


@pytest.mark.parametrize(
    "example", LOCALLAB, ids=[example.split("\n")[0].strip("# ") for example in LOCALLAB]
)
async def test_locallab_s_curl(running: RunningDaemon, client: aiohttp.ClientSession, example: str) -> None:
    running.services.catalogue.known["microsoft/phi-2"] = entry_of("microsoft/phi-2")  # type: ignore[attr-defined]
    await post(client, "/models/load", {"model_id": "demo"})
    printed = await run_bash(example, BASE_URL=running.url)
    if "| while read" in example:
        assert printed == ANSWER
    elif '"stream": true' in example:
        assert printed.startswith(f"data: {ANSWER[:9]}\n")
        assert printed.endswith(("data: [DONE]\n\n", 'data: [DONE]\n"[DONE]"\n\n'))
    else:
        assert "detail" not in json.loads(printed)
