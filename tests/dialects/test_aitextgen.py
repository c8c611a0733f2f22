"""AITextGen: what its bodies turn into, and over HTTP."""

from typing import Any

import aiohttp
import pytest

from fakes.asking import post
from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.scripted_model import Script, ScriptedLauncher
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.api.aitextgen.convert import from_completion, to_generation
from puna.api.aitextgen.schema import GENERATE, GenerateReply
from puna.api.encoding import encode_json
from puna.domain.generation import (
    Completion,
    Finished,
    FinishReason,
    GenerationRequest,
    Sampling,
    TextPrompt,
    Timing,
    Usage,
)
from puna.errors import InvalidRequestError, WorkerDiedError

PATH = "/v1/aitextgen/generate"
ASK = {"prompt": "Once upon a time"}


def generation(**fields: Any) -> GenerationRequest:
    return to_generation(GENERATE.parse(encode_json(ASK | fields)))


def test_the_documented_defaults_hold() -> None:
    expected = GenerationRequest(
        prompt=TextPrompt("Once upon a time"),
        sampling=Sampling(temperature=0.7, top_p=0.9),
        max_tokens=50,
    )
    assert generation() == expected
    assert generation(max_length=None, temperature=None, top_p=None, model=None) == expected


def test_every_parameter_reaches_the_model() -> None:
    request = generation(max_length=100.0, temperature=0, top_p=1)
    assert (request.max_tokens, request.sampling) == (100, Sampling(temperature=0, top_p=1))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"prompt": ""}, "`prompt` must be a non-empty string."),
        ({"prompt": ["a"]}, "`prompt` must be a non-empty string."),
        ({"max_length": 0}, "`max_length` must be a whole number from 1 to 32000."),
        ({"max_length": 1.5}, "`max_length` must be a whole number from 1 to 32000."),
        ({"temperature": 1.1}, "`temperature` must be a number from 0 to 1."),
        ({"temperature": "hot"}, "`temperature` must be a number from 0 to 1."),
        ({"top_p": -0.1}, "`top_p` must be a number from 0 to 1."),
        ({"model": 7}, "`model` must be a string."),
    ],
)
def test_a_value_out_of_range_is_refused_with_field_and_range(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        generation(**fields)
    assert refused.value.message == complaint


def test_the_time_is_that_of_the_model_s_work_in_seconds() -> None:
    end = Finished(FinishReason.LENGTH, Usage(4, 42), Timing(queue_s=9, prompt_s=0.12345, decode_s=0.75))
    assert from_completion(Completion(" there", end)) == GenerateReply(
        generated_text=" there", tokens_generated=42, generation_time=0.8735
    )


async def test_generate_answers_as_documented(daemon: RunningDaemon, keyed: aiohttp.ClientSession) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    assert await post(keyed, PATH, ASK) == {
        "generated_text": TRAP_TEXT,
        "tokens_generated": len(TRAP),
        "generation_time": 0.0,
    }
    assert daemon.worker.requests[0].prompt == TextPrompt("Once upon a time")


async def test_a_model_may_be_named(daemon: RunningDaemon, keyed: aiohttp.ClientSession) -> None:
    await post(keyed, PATH, ASK | {"model": "other"})
    await post(keyed, PATH, ASK | {"model": ""})
    assert [each.entry.id for each in daemon.services.residency.residents()] == ["other"]
    unknown = await post(keyed, PATH, ASK | {"model": "nope"}, status=404)
    assert unknown["error"] == unknown["detail"] == "There is no model nope; the nearest is demo."


async def test_without_a_key_nothing_is_answered(client: aiohttp.ClientSession) -> None:
    assert (await post(client, PATH, ASK, status=401))["detail"]


async def test_errors_have_the_documented_statuses(
    keyed: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    assert "`prompt` is required." in (await post(keyed, PATH, {}, status=400))["error"]
    launcher.script = Script(deltas=("Once",), failure=WorkerDiedError("The worker was killed by signal 9."))
    failed = await post(keyed, PATH, ASK, status=500)
    assert failed["error"] == "The worker was killed by signal 9."


async def test_without_any_model_the_client_is_told(tmp_path: Any) -> None:
    async with run_daemon(tmp_path, model=None) as daemon, daemon.client() as client:
        client.headers["X-Api-Key"] = await daemon.make_key()
        assert "No model" in (await post(client, PATH, ASK, status=400))["detail"]


async def test_what_is_no_route_does_not_exist(keyed: aiohttp.ClientSession) -> None:
    for path in ("/v1/aitextgen/models", "/v1/aitextgen"):
        assert (await post(keyed, path, {}, status=404)) == {"detail": "Not Found", "error": "Not Found"}
