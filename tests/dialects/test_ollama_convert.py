"""What the bodies of `/api/generate` turn into, for Spin-Up's and Ollama's users, and what comes back."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fakes.scripted_model import LOADED
from puna.api.encoding import encode_json
from puna.api.keep_alive import to_keep_alive_s
from puna.api.ollama.answers import (
    AnswerHead,
    from_completion,
    from_finish,
    from_text,
    to_load_reply,
    to_timestamp,
)
from puna.api.ollama.convert import check_supported, to_generation, to_turns
from puna.api.ollama.names import find_by_name, listed_name, other_form
from puna.api.ollama.schema import GENERATE
from puna.domain.chat import Message, Role
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    Finished,
    FinishReason,
    GenerationRequest,
    InfillPrompt,
    Sampling,
    TextPrompt,
    Timing,
    Usage,
)
from puna.domain.models import LoadedModel
from puna.errors import InvalidRequestError, ModelNotFoundError

DEFAULTS = Sampling(temperature=0.8, top_p=0.9, top_k=40, repetition_penalty=1.1, penalty_window=64)
HEAD = AnswerHead("c60b9573f2fd", "llama3.2:1b", 0.5)
NOW = datetime(2026, 11, 20, 5, 56, 44, tzinfo=UTC)
END = Finished(FinishReason.STOP, Usage(5, 11), Timing(queue_s=0.25, prompt_s=0.125, decode_s=1.5))


BASE = replace(LOADED, has_chat_template=False)
THINKER = replace(LOADED, can_think=True)
CODER = replace(LOADED, can_infill=True)


def generation(loaded: LoadedModel = LOADED, /, **fields: Any) -> GenerationRequest:
    body = GENERATE.parse(encode_json({"model": "demo", "prompt": "Why?"} | fields))
    check_supported(body)
    return to_generation(body, to_turns(body), loaded)


def sampling(**options: Any) -> Sampling:
    return generation(options=options).sampling


def turns(*texts: tuple[Role, str]) -> ChatPrompt:
    return ChatPrompt(tuple(Message(role, text) for role, text in texts))


def test_the_defaults_are_ollama_s() -> None:
    expected = GenerationRequest(prompt=turns((Role.USER, "Why?")), sampling=DEFAULTS, max_tokens=None)
    assert generation() == expected
    assert generation(options={}, format="", suffix="", template="", context=[], images=[]) == expected


def test_null_is_the_same_as_absent_in_every_field() -> None:
    names = ("stream", "system", "raw", "format", "options", "keep_alive", "suffix", "template", "images")
    assert generation(**dict.fromkeys((*names, "think", "context", "logprobs"))) == generation()
    options = ("num_predict", "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "repeat_last_n")
    assert sampling(**dict.fromkeys((*options, "seed", "stop", "num_ctx", "frequency_penalty"))) == DEFAULTS


def test_every_option_reaches_the_model() -> None:
    request = generation(
        options={
            "num_predict": 33,
            "temperature": 0.2,
            "top_p": 0.5,
            "top_k": 7,
            "min_p": 0.05,
            "repeat_penalty": 1.5,
            "repeat_last_n": 16,
            "frequency_penalty": 0.25,
            "presence_penalty": -0.5,
            "seed": 42,
            "stop": ["\n", "END"],
            "num_ctx": 4096,
            "mirostat": 2,
            "tfs_z": 0.5,
            "num_keep": 4,
            "num_gpu": 99,
            "typical_p": 1,
        }
    )
    assert request.sampling == Sampling(
        temperature=0.2,
        top_p=0.5,
        top_k=7,
        min_p=0.05,
        repetition_penalty=1.5,
        frequency_penalty=0.25,
        presence_penalty=-0.5,
        penalty_window=16,
        seed=42,
    )
    assert (request.max_tokens, request.stop) == (33, ("\n", "END"))


@pytest.mark.parametrize("limit", [-1, -2, 0, -1.0])
def test_no_limit_runs_to_the_end_of_the_context(limit: float) -> None:
    assert generation(options={"num_predict": limit}).max_tokens is None


def test_numbers_that_mean_off_or_all_are_understood() -> None:
    assert sampling(top_k=-1).top_k == 0
    assert sampling(top_k=0).top_k == 0
    assert sampling(repeat_last_n=0).penalty_window == 0
    assert sampling(repeat_last_n=-1).penalty_window == 2048
    assert sampling(seed=-1).seed is None
    assert sampling(seed=0).seed == 0
    assert sampling(temperature=0).temperature == 0


def test_whole_numbers_may_be_written_with_a_point() -> None:
    request = generation(options={"num_predict": 10.0, "top_k": 5.0, "seed": 1.0, "num_ctx": 512.0})
    assert (request.max_tokens, request.sampling.top_k, request.sampling.seed) == (10, 5, 1)


def test_one_stop_string_needs_no_list_and_empty_ones_are_none() -> None:
    assert generation(options={"stop": "END"}).stop == ("END",)
    assert generation(options={"stop": ["", "END"]}).stop == ("END",)
    assert generation(options={"stop": ""}).stop == ()


def test_the_prompt_goes_through_the_chat_template() -> None:
    assert generation().prompt == turns((Role.USER, "Why?"))
    assert generation(system="Be brief.").prompt == turns((Role.SYSTEM, "Be brief."), (Role.USER, "Why?"))


def test_raw_and_base_models_continue_the_bare_text() -> None:
    assert generation(raw=True).prompt == TextPrompt("Why?")
    assert generation(BASE).prompt == TextPrompt("Why?")
    assert generation(BASE, system="Be brief.").prompt == turns(
        (Role.SYSTEM, "Be brief."), (Role.USER, "Why?")
    )


def test_a_format_is_a_constraint() -> None:
    assert generation(format="json").constraint == JsonSchemaConstraint('{"type":"object"}')
    schema = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"const": "é"}}}
    expected = '{"type":"object","properties":{"z":{"type":"string"},"a":{"const":"\\u00e9"}}}'
    assert generation(format=schema).constraint == JsonSchemaConstraint(expected)
    assert generation().constraint is None


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"model": ""}, "`model` must be a non-empty string."),
        ({"model": None}, "`model` must be a non-empty string."),
        ({"prompt": 7}, "`prompt` must be a string."),
        ({"stream": "yes"}, "`stream` must be true or false."),
        ({"format": "yaml"}, '`format` must be "json" or a JSON schema.'),
        ({"format": 7}, "`format` must be a string or an object."),
        ({"raw": True, "system": "Be brief."}, "`raw` and `system` exclude each other."),
        ({"suffix": "}"}, '"demo" does not support insert'),
        ({"suffix": "}", "system": "Be brief."}, "`suffix` and `system` exclude each other."),
        ({"suffix": "}", "raw": True}, "`raw` and `suffix` exclude each other."),
        ({"think": True, "raw": True}, "`raw` and `think` exclude each other."),
        (
            {"think": "loud"},
            '`think` must be true, false, "low", "medium", "high" or "max".',
        ),
        ({"images": ["aGk="]}, '"demo" does not support images: `images` is not supported yet.'),
        ({"think": True}, '"demo" does not support thinking'),
        ({"think": "high"}, '"demo" does not support thinking'),
        (
            {"context": [1, 2]},
            "`context` must be what an earlier answer of Puna had there; /api/chat takes turns from anywhere.",
        ),
        ({"context": [1], "raw": True}, "`raw` and `context` exclude each other."),
        ({"context": [1], "suffix": "}"}, "`suffix` and `context` exclude each other."),
        ({"top_logprobs": 21}, "`top_logprobs` must be a whole number from 0 to 20."),
        (
            {"options": {"typical_p": 0.5}},
            "`options.typical_p` is not supported: leave it out, or set it to 1, which is off.",
        ),
        ({"options": {"temperature": 2.1}}, "`options.temperature` must be a number from 0 to 2."),
        ({"options": {"temperature": "hot"}}, "`options.temperature` must be a number from 0 to 2."),
        ({"options": {"top_p": 1.1}}, "`options.top_p` must be a number from 0 to 1."),
        ({"options": {"min_p": -0.1}}, "`options.min_p` must be a number from 0 to 1."),
        ({"options": {"repeat_penalty": 0}}, "`options.repeat_penalty` must be a number from 0.1 to 10."),
        ({"options": {"presence_penalty": 3}}, "`options.presence_penalty` must be a number from -2 to 2."),
        ({"options": {"stop": [1]}}, "`options.stop[0]` must be a string."),
        ({"options": []}, "`options` must be an object."),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        generation(**fields)
    assert refused.value.message == complaint


@pytest.mark.parametrize("field", ["num_predict", "top_k", "seed", "repeat_last_n", "num_ctx"])
def test_whole_numbers_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"`options.{field}` must be a whole number from"):
        sampling(**{field: -3})
    with pytest.raises(InvalidRequestError, match=f"`options.{field}` must be a whole number from"):
        sampling(**{field: 1.5})


def test_a_refused_template_says_what_to_do() -> None:
    with pytest.raises(InvalidRequestError, match="with `raw` set to true"):
        generation(template="{{ .Prompt }}")


def test_switched_off_wishes_are_no_wishes() -> None:
    assert generation(logprobs=False, raw=False, top_logprobs=5, truncate=True, shift=False) == generation()


def test_a_model_that_can_think_does_so_unless_told_otherwise() -> None:
    def wish(loaded: LoadedModel, **fields: Any) -> tuple[bool | None, str | None]:
        prompt = generation(loaded, **fields).prompt
        assert isinstance(prompt, ChatPrompt)
        return prompt.is_thinking, prompt.effort

    assert wish(LOADED) == (None, None)
    assert wish(LOADED, think=False) == (False, None)
    assert wish(THINKER) == wish(THINKER, think=None) == wish(THINKER, think=True) == (True, None)
    assert wish(THINKER, think=False) == (False, None)
    assert wish(THINKER, think="low") == (True, "low")
    assert wish(THINKER, think="max") == (True, "xhigh")


def test_a_suffix_makes_a_gap_to_fill() -> None:
    assert generation(CODER, suffix="}").prompt == InfillPrompt("Why?", "}")
    assert generation(CODER, suffix="}", prompt=None).prompt == InfillPrompt("", "}")


def test_log_probabilities_are_told_when_asked_for() -> None:
    assert generation().top_logprobs is None
    assert generation(logprobs=True).top_logprobs == 0
    assert generation(logprobs=True, top_logprobs=3.0).top_logprobs == 3


@pytest.mark.parametrize(
    ("keep_alive", "seconds"),
    [
        (None, None),
        (0, 0),
        (0.0, 0),
        ("0", 0),
        ("0s", 0),
        ("0m0s", 0),
        ("-0", 0),
        (300, 300),
        (0.5, 0.5),
        ("300", 300),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("10ms", 0.01),
        ("24h", 86400),
        (-1, math.inf),
        ("-1", math.inf),
        ("-1s", math.inf),
        ("-5m", math.inf),
        (1e300, math.inf),
    ],
)
def test_a_model_stays_as_long_as_is_said(keep_alive: str | float | None, seconds: float | None) -> None:
    assert to_keep_alive_s(keep_alive) == seconds


@pytest.mark.parametrize("keep_alive", ["soon", "5 minutes", "", "m", "5m!", "--1", "5m3"])
def test_a_time_to_live_that_is_none_is_refused(keep_alive: str) -> None:
    with pytest.raises(InvalidRequestError, match="`keep_alive` must be a number of seconds or a duration"):
        to_keep_alive_s(keep_alive)


def test_an_answer_serves_spin_up_and_ollama() -> None:
    assert msgspec.to_builtins(from_completion(Completion("It scatters.", END), HEAD, NOW)) == {
        "id": "c60b9573f2fd",
        "model": "llama3.2:1b",
        "created_at": "2026-11-20T05:56:44.000000Z",
        "response": "It scatters.",
        "output": "It scatters.",
        "done": True,
        "done_reason": "stop",
        "total_duration": 2_375_000_000,
        "load_duration": 500_000_000,
        "prompt_eval_count": 5,
        "prompt_eval_duration": 125_000_000,
        "eval_count": 11,
        "eval_duration": 1_500_000_000,
        "usage": {"tokens": 16, "prompt_tokens": 5, "completion_tokens": 11},
    }


def test_the_last_line_of_a_stream_has_all_but_the_text() -> None:
    whole = msgspec.to_builtins(from_completion(Completion("It scatters.", END), HEAD, NOW))
    assert msgspec.to_builtins(from_finish(END, HEAD, NOW)) == whole | {"response": "", "output": ""}


def test_a_line_of_a_stream_has_its_text_under_both_names() -> None:
    assert msgspec.to_builtins(from_text(" blue", HEAD, NOW)) == {
        "id": "c60b9573f2fd",
        "model": "llama3.2:1b",
        "created_at": "2026-11-20T05:56:44.000000Z",
        "response": " blue",
        "output": " blue",
        "done": False,
    }


def test_durations_are_never_zero_because_clients_divide_by_them() -> None:
    reply = from_finish(Finished(FinishReason.LENGTH, Usage()), AnswerHead("x", "m", 0.0), NOW)
    assert (reply.done_reason, reply.eval_duration, reply.prompt_eval_duration, reply.total_duration) == (
        "length",
        1,
        1,
        1,
    )


def test_a_load_answers_without_text() -> None:
    assert msgspec.to_builtins(to_load_reply("demo", "load", NOW)) == {
        "model": "demo",
        "created_at": "2026-11-20T05:56:44.000000Z",
        "response": "",
        "done": True,
        "done_reason": "load",
    }


def test_moments_are_told_in_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))
    assert to_timestamp(moment) == "2026-01-02T01:04:05.678901Z"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("demo:latest", "demo"),
        ("demo", "demo:latest"),
        ("org/model", "org/model:latest"),
        ("llama3.2:1b", None),
        (":latest", None),
        ("/models/mine.gguf", None),
        ("C:\\models\\mine.gguf", None),
    ],
)
def test_no_tag_means_latest(name: str, other: str | None) -> None:
    assert other_form(name) == other


def test_names_are_listed_with_a_tag() -> None:
    assert [listed_name(name, ()) for name in ("demo", "org/model", "llama3.2:1b", "a:latest")] == [
        "demo:latest",
        "org/model:latest",
        "llama3.2:1b",
        "a:latest",
    ]
    assert listed_name("tiny", {"tiny", "tiny:latest"}) == "tiny"


async def test_an_unknown_name_is_told_as_it_was_written() -> None:
    async def find(name: str) -> str:
        if name != "demo":
            raise ModelNotFoundError(f"There is no model {name}.")
        return name

    assert await find_by_name("demo", find) == "demo"
    assert await find_by_name("demo:latest", find) == "demo"
    for name in ("nope", "nope:latest", "nope:1b"):
        with pytest.raises(
            ModelNotFoundError, match=f"model '{name}' not found: There is no model {name}\\."
        ):
            await find_by_name(name, find)
