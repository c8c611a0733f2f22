"""The domain's requests as an engine takes them."""

import json

import msgspec
import pytest
from msgspec.structs import replace

from puna.domain.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolChoiceMode
from puna.domain.constraint import Constraint, JsonSchemaConstraint, LarkConstraint, RegexConstraint
from puna.domain.embedding import EmbeddingRequest, RankingRequest
from puna.domain.generation import (
    ChatPrompt,
    GenerationRequest,
    InfillPrompt,
    Sampling,
    TextPrompt,
    TokenPrompt,
)
from puna.engine.upstream import convert
from puna.engine.upstream.brands import Brand, brand_of
from puna.errors import InvalidRequestError

CHAT = ChatPrompt((Message(Role.USER, "Hi"),))
SCHEMA = '{"type": "object", "properties": {"b": {}, "a": {}}}'
WEATHER = Tool("weather", "of a town", '{"type": "object", "properties": {"town": {"type": "string"}}}')


def body_of(request: GenerationRequest, brand: Brand = Brand.OTHER) -> dict[str, object]:
    sent = json.loads(msgspec.json.encode(convert.to_body(request, "org/big", brand)))
    assert isinstance(sent, dict)
    return sent


def chat(prompt: ChatPrompt = CHAT, brand: Brand = Brand.OTHER) -> dict[str, object]:
    return body_of(GenerationRequest(prompt=prompt), brand)


def test_a_plain_chat_has_only_openais_own_fields() -> None:
    assert chat() == {
        "model": "org/big",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 1.0,
        "top_p": 1.0,
    }


@pytest.mark.parametrize("brand", [Brand.PUNA, Brand.VLLM, Brand.SGLANG, Brand.LLAMA_SERVER])
def test_engines_with_defaults_of_their_own_are_told_what_is_off(brand: Brand) -> None:
    sent = chat(brand=brand)
    assert (sent["top_k"], sent["min_p"], sent["repetition_penalty"]) == (-1, 0.0, 1.0)


def test_engines_that_count_early_are_asked_to() -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    assert chat(brand=Brand.VLLM)["stream_options"] == options
    assert chat(brand=Brand.PUNA)["stream_options"] == {"include_usage": True}


def test_all_of_the_sampling_is_passed_on() -> None:
    sampling = Sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        repetition_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=-0.3,
        penalty_window=128,
        logit_bias=((15, -100.0), (7, 2.5)),
        seed=0,
    )
    sent = body_of(
        GenerationRequest(
            prompt=CHAT, sampling=sampling, max_tokens=9, stop=("a", "b"), top_logprobs=3, max_time_s=5
        )
    )
    assert (
        sent
        | {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.05,
            "repetition_penalty": 1.1,
            "repeat_penalty": 1.1,
            "repeat_last_n": 128,
            "frequency_penalty": 0.2,
            "presence_penalty": -0.3,
            "logit_bias": {"15": -100.0, "7": 2.5},
            "seed": 0,
            "max_tokens": 9,
            "stop": ["a", "b"],
            "logprobs": True,
            "top_logprobs": 3,
        }
        == sent
    )


def test_a_conversation_with_tools_keeps_every_part() -> None:
    call = ToolCall("c1", "weather", '{"town": "Ulm"}')
    prompt = ChatPrompt(
        (
            Message(Role.DEVELOPER, "Be brief."),
            Message(Role.ASSISTANT, "", "I must look.", (call,)),
            Message(Role.TOOL, "rain", tool_call_id="c1", name="weather"),
        ),
        (WEATHER,),
        ToolChoice(ToolChoiceMode.REQUIRED, is_parallel=False),
    )
    sent = chat(prompt)
    assert sent["messages"] == [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "I must look.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"town": "Ulm"}'},
                }
            ],
        },
        {"role": "tool", "content": "rain", "tool_call_id": "c1", "name": "weather"},
    ]
    assert sent["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "of a town",
                "parameters": json.loads(WEATHER.parameters),
            },
        }
    ]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)


def test_the_choice_of_tools() -> None:
    def choose(mode: ToolChoiceMode, name: str | None = None) -> dict[str, object]:
        return chat(replace(CHAT, tools=(WEATHER,), choice=ToolChoice(mode, name)))

    assert "tool_choice" not in choose(ToolChoiceMode.AUTO)
    assert "tools" not in choose(ToolChoiceMode.NONE)
    named = choose(ToolChoiceMode.NAMED, "weather")["tool_choice"]
    assert named == {"type": "function", "function": {"name": "weather"}}


def test_thinking_goes_by_the_templates_names_and_by_openais() -> None:
    sent = chat(
        replace(CHAT, is_thinking=False, effort="low", template_variables='{"x": 1, "thinking": true}')
    )
    assert sent["chat_template_kwargs"] == {"enable_thinking": False, "thinking": True, "x": 1}
    assert sent["reasoning_effort"] == "low"


def test_an_answer_that_goes_on_says_so_to_engines_that_have_to_be_told() -> None:
    begun = ChatPrompt((*CHAT.messages, Message(Role.ASSISTANT, "Once")))
    flags = {"add_generation_prompt": False, "continue_final_message": True}
    for brand in (Brand.VLLM, Brand.SGLANG, Brand.OTHER):
        assert chat(begun, brand).items() >= flags.items()
    for brand in (Brand.PUNA, Brand.LLAMA_SERVER):
        assert not chat(begun, brand).keys() & flags.keys()


@pytest.mark.parametrize("brand", list(Brand))
def test_a_schema_holds_chats_of_every_engine(brand: Brand) -> None:
    request = GenerationRequest(prompt=CHAT, constraint=JsonSchemaConstraint(SCHEMA))
    sent = json.dumps(body_of(request, brand)["response_format"])
    assert json.loads(sent)["json_schema"] == {"name": "answer", "strict": True, "schema": json.loads(SCHEMA)}
    assert sent.index('"b"') < sent.index('"a"')
    free = GenerationRequest(prompt=CHAT, constraint=JsonSchemaConstraint('{"type":"object"}'))
    assert body_of(free, brand)["response_format"] == {"type": "json_object"}


def test_a_schema_holds_a_text_where_the_engine_is_known_to_take_it() -> None:
    request = GenerationRequest(prompt=TextPrompt("x"), constraint=JsonSchemaConstraint(SCHEMA))
    for brand in (Brand.VLLM, Brand.SGLANG):
        assert "response_format" in body_of(request, brand)
    assert body_of(request, Brand.LLAMA_SERVER)["json_schema"] == json.loads(SCHEMA)
    for brand in (Brand.PUNA, Brand.OTHER):
        with pytest.raises(InvalidRequestError, match="in chats only"):
            convert.to_body(request, "m", brand)


@pytest.mark.parametrize("constraint", [RegexConstraint("a+"), LarkConstraint("start: /a/")])
@pytest.mark.parametrize("prompt", [CHAT, TextPrompt("x")])
def test_other_constraints_are_refused_and_never_left_out(
    constraint: Constraint, prompt: ChatPrompt | TextPrompt
) -> None:
    request = GenerationRequest(prompt=prompt, constraint=constraint)
    for brand in (Brand.VLLM, Brand.LLAMA_SERVER):
        with pytest.raises(InvalidRequestError, match="not to a regular expression or a grammar"):
            convert.to_body(request, "m", brand)


def test_texts_tokens_and_gaps_are_completions() -> None:
    assert body_of(GenerationRequest(prompt=TextPrompt("Once")))["prompt"] == "Once"
    assert body_of(GenerationRequest(prompt=TokenPrompt((1, 2))))["prompt"] == [1, 2]
    gap = body_of(GenerationRequest(prompt=InfillPrompt("def f(", "return x"), top_logprobs=2))
    assert (gap["prompt"], gap["suffix"], gap["logprobs"]) == ("def f(", "return x", 2)


def test_a_text_without_limit_is_said_to_have_none() -> None:
    endless = GenerationRequest(prompt=TextPrompt("Once"))
    assert body_of(endless, Brand.PUNA)["max_tokens"] == -1
    assert body_of(endless, Brand.LLAMA_SERVER)["max_tokens"] == -1
    assert body_of(endless, Brand.VLLM)["max_tokens"] is None
    assert [brand for brand in Brand if convert.needs_limit(endless, brand)] == [Brand.SGLANG, Brand.OTHER]
    assert not convert.needs_limit(GenerationRequest(prompt=CHAT), Brand.OTHER)
    assert "max_tokens" not in chat()


def test_whole_vectors_are_asked_for_and_cut_here() -> None:
    request = EmbeddingRequest(inputs=("a", "b"), dimensions=8, is_truncated=True)
    sent = json.loads(msgspec.json.encode(convert.to_embedding_body(request, "m", Brand.VLLM)))
    assert sent == {
        "model": "m",
        "input": ["a", "b"],
        "encoding_format": "base64",
        "truncate_prompt_tokens": -1,
    }
    assert convert.to_embedding_body(EmbeddingRequest(inputs=((1, 2), (3,))), "m", Brand.OTHER).input == (
        (1, 2),
        (3,),
    )
    with pytest.raises(InvalidRequestError, match="all texts, or all tokens"):
        convert.to_embedding_body(EmbeddingRequest(inputs=("a", (1,))), "m", Brand.OTHER)


def test_a_ranking() -> None:
    sent = convert.to_ranking_body(RankingRequest(query="q", documents=("a", "b")), "m", Brand.OTHER)
    assert json.loads(msgspec.json.encode(sent)) == {"model": "m", "query": "q", "documents": ["a", "b"]}


def test_brands_are_known_by_the_owner_of_their_models() -> None:
    assert brand_of("vllm") is Brand.VLLM
    assert brand_of("llamacpp") is Brand.LLAMA_SERVER
    assert brand_of("organization-owner") is brand_of(None) is Brand.OTHER
