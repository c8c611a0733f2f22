"""LocalLab's bodies into requests and completions into answers."""

from typing import Any

import msgspec
import pytest

from puna.api.encoding import encode_json
from puna.api.locallab.convert import (
    from_chat_completion,
    from_completion,
    from_completions,
    to_batch,
    to_chat,
    to_generation,
)
from puna.api.locallab.schema import BATCH, CHAT, GENERATE, LOAD, MAX_PROMPTS
from puna.domain.chat import Message, Role
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    Finished,
    FinishReason,
    GenerationRequest,
    Prompt,
    Sampling,
    TextPrompt,
    Usage,
)
from puna.errors import InvalidRequestError

DEFAULTS = Sampling(temperature=0.7, top_p=0.9, top_k=80, repetition_penalty=1.15)
COMPLETION = Completion("Once.", Finished(FinishReason.STOP, Usage(5, 11, 3)))


def generation(instructions: str = "", has_chat_template: bool = True, /, **fields: Any) -> GenerationRequest:
    body = GENERATE.parse(encode_json({"prompt": "Once"} | fields))
    return to_generation(body, instructions=instructions, has_chat_template=has_chat_template)


def chat(*turns: tuple[str, str], instructions: str = "", **fields: Any) -> GenerationRequest:
    messages = [{"role": role, "content": content} for role, content in turns]
    return to_chat(CHAT.parse(encode_json({"messages": messages} | fields)), instructions=instructions)


def conversation(*turns: tuple[Role, str]) -> Prompt:
    return ChatPrompt(tuple(Message(role, content) for role, content in turns))


def test_the_documented_defaults_hold() -> None:
    expected = GenerationRequest(
        prompt=conversation((Role.USER, "Once")), sampling=DEFAULTS, max_tokens=8192, max_time_s=None
    )
    assert generation() == expected


def test_null_is_the_default_in_every_optional_field() -> None:
    names = ("model_id", "max_length", "max_tokens", "temperature", "top_p", "top_k", "repetition_penalty")
    nulls: dict[str, Any] = dict.fromkeys((*names, "do_sample", "stream", "max_time", "system_prompt", "raw"))
    assert generation(**nulls) == generation()


@pytest.mark.parametrize("name", ["max_length", "max_tokens", "max_new_tokens", "maxLength"])
def test_the_token_limit_has_four_names(name: str) -> None:
    assert generation(**{name: 100}).max_tokens == 100
    assert generation(**{name: 100.0}).max_tokens == 100


def test_the_document_s_name_comes_first() -> None:
    assert generation(max_length=1, max_tokens=2, maxLength=3).max_tokens == 1
    assert generation(max_length=None, max_tokens=2).max_tokens == 2
    assert generation(top_p=0.1, topP=0.2).sampling.top_p == 0.1


def test_the_typescript_client_s_names_are_known() -> None:
    request = generation(topP=0.5, topK=7, repetitionPenalty=1.5, doSample=True, maxTime=3)
    assert request.sampling == Sampling(temperature=0.7, top_p=0.5, top_k=7, repetition_penalty=1.5)
    assert request.max_time_s == 3
    assert GENERATE.parse(b'{"prompt":"x","modelId":"m"}').model == "m"


def test_zero_is_a_value_and_not_the_default() -> None:
    request = generation(temperature=0, top_p=0, top_k=0, max_time=0)
    assert request.sampling == Sampling(temperature=0, top_p=0, top_k=0, repetition_penalty=1.15)
    assert request.max_time_s == 0


@pytest.mark.parametrize("name", ["do_sample", "doSample"])
def test_without_sampling_the_likeliest_token_wins(name: str) -> None:
    assert generation(**{name: False}, temperature=1.5).sampling.temperature == 0
    assert generation(**{name: True}, temperature=1.5).sampling.temperature == 1.5


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"prompt": ""}, "`prompt` must be a non-empty string."),
        ({"prompt": ["a"]}, "`prompt` must be a non-empty string."),
        ({"temperature": 2.1}, "`temperature` must be a number from 0 to 2."),
        ({"temperature": True}, "`temperature` must be a number from 0 to 2."),
        ({"top_p": 1.1}, "`top_p` must be a number from 0 to 1."),
        ({"topP": -0.1}, "`topP` must be a number from 0 to 1."),
        ({"top_k": 1001}, "`top_k` must be a whole number from 0 to 1000."),
        ({"top_k": 1.5}, "`top_k` must be a whole number from 0 to 1000."),
        ({"repetition_penalty": 0.9}, "`repetition_penalty` must be a number from 1 to 2."),
        ({"max_length": 0}, "`max_length` must be a whole number from 1 to 32000."),
        ({"max_tokens": 32001}, "`max_tokens` must be a whole number from 1 to 32000."),
        ({"maxLength": "many"}, "`maxLength` must be a whole number from 1 to 32000."),
        ({"do_sample": "no"}, "`do_sample` must be true or false."),
        ({"stream": 1}, "`stream` must be true or false."),
        ({"max_time": -1}, "`max_time` must be a number from 0 to 86400."),
        ({"model_id": 7}, "`model_id` must be a string."),
        ({"raw": True, "system_prompt": "s"}, "`raw` and `system_prompt` exclude each other."),
    ],
)
def test_a_value_out_of_range_is_refused_with_field_and_range(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        generation(**fields)
    assert refused.value.message == complaint


def test_a_base_model_continues_the_bare_text() -> None:
    assert generation("", False).prompt == TextPrompt("Once")


def test_raw_sends_the_bare_text_to_every_model() -> None:
    assert generation("Be kind.", raw=True).prompt == TextPrompt("Once")


def test_a_system_prompt_makes_a_conversation_even_of_a_base_model() -> None:
    expected = conversation((Role.SYSTEM, "Be brief."), (Role.USER, "Once"))
    assert generation("", False, system_prompt="Be brief.").prompt == expected
    assert generation("Be kind.", systemPrompt="Be brief.").prompt == expected


def test_instructions_count_where_the_request_brings_none() -> None:
    kind = conversation((Role.SYSTEM, "Be kind."), (Role.USER, "Once"))
    assert generation("Be kind.").prompt == kind
    assert generation("Be kind.", system_prompt="").prompt == conversation((Role.USER, "Once"))


def test_a_conversation_is_passed_on_turn_by_turn() -> None:
    request = chat(("system", "S"), ("user", "U"), ("assistant", "A"), ("user", ""), instructions="Be kind.")
    turns = ((Role.SYSTEM, "S"), (Role.USER, "U"), (Role.ASSISTANT, "A"), (Role.USER, ""))
    assert request == GenerationRequest(prompt=conversation(*turns), sampling=DEFAULTS, max_tokens=8192)


def test_instructions_open_a_conversation_without_a_system_message() -> None:
    expected = conversation((Role.SYSTEM, "Be kind."), (Role.USER, "U"))
    assert chat(("user", "U"), instructions="Be kind.").prompt == expected


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "`messages` must be a list of 1 to 10000 items."),
        ("hi", "`messages` must be a list of 1 to 10000 items."),
        (["hi"], "`messages[0]` must be an object."),
        ([{"role": "user"}], "`messages[0].content` is required."),
        ([{"content": "x"}], "`messages[0].role` is required."),
        ([{"role": "user", "content": 1}], "`messages[0].content` must be a string."),
        (
            [{"role": "wizard", "content": "x"}],
            "`messages[0].role` must be one of system, developer, user, assistant, tool.",
        ),
    ],
)
def test_a_bad_conversation_is_refused(messages: object, complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        CHAT.parse(encode_json({"messages": messages}))
    assert refused.value.message == complaint


def test_a_batch_is_one_request_for_each_prompt() -> None:
    body = BATCH.parse(b'{"prompts":["a","b"],"max_length":9,"do_sample":false}')
    requests = to_batch(body, instructions="", has_chat_template=False)
    greedy = Sampling(temperature=0, top_p=0.9, top_k=80, repetition_penalty=1.15)
    assert requests == [
        GenerationRequest(prompt=TextPrompt(text), sampling=greedy, max_tokens=9) for text in ("a", "b")
    ]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "`prompts` is required."),
        ({"inputs": ["a"]}, "`prompts` is required; `inputs` is its name in another API."),
        ({"prompts": []}, f"`prompts` must be a list of 1 to {MAX_PROMPTS} items."),
        ({"prompts": ["a"] * (MAX_PROMPTS + 1)}, f"`prompts` must be a list of 1 to {MAX_PROMPTS} items."),
        ({"prompts": "a"}, f"`prompts` must be a list of 1 to {MAX_PROMPTS} items."),
        ({"prompts": ["a", None]}, "`prompts[1]` must be a non-empty string."),
    ],
)
def test_a_bad_batch_is_refused(body: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        BATCH.parse(encode_json(body))
    assert refused.value.message == complaint


def test_a_load_names_its_model() -> None:
    assert LOAD.parse(b'{"model_id":"org/m"}').model == "org/m"
    assert LOAD.parse(b'{"modelId":"org/m"}').model == "org/m"
    with pytest.raises(InvalidRequestError, match="`model_id` is required"):
        LOAD.parse(b"{}")


def test_an_answer_of_generate_serves_document_and_real_clients() -> None:
    assert msgspec.to_builtins(from_completion(COMPLETION, "demo")) == {
        "response": "Once.",
        "text": "Once.",
        "model": "demo",
        "model_id": "demo",
        "usage": {"prompt_tokens": 5, "completion_tokens": 11, "total_tokens": 16},
    }


def test_an_answer_of_chat_looks_like_openai_s() -> None:
    cut = Completion("Once", Finished(FinishReason.LENGTH, Usage(5, 11)))
    message = {"role": "assistant", "content": "Once"}
    assert msgspec.to_builtins(from_chat_completion(cut, "demo")) == {
        "choices": ({"index": 0, "message": message, "finish_reason": "length"},),
        "model": "demo",
        "usage": {"prompt_tokens": 5, "completion_tokens": 11, "total_tokens": 16},
    }


def test_a_batch_keeps_the_order_and_adds_the_usage_up() -> None:
    second = Completion("Twice.", Finished(FinishReason.STOP, Usage(1, 2)))
    assert msgspec.to_builtins(from_completions([COMPLETION, second], "demo")) == {
        "responses": ("Once.", "Twice."),
        "model": "demo",
        "usage": {"prompt_tokens": 6, "completion_tokens": 13, "total_tokens": 19},
    }
