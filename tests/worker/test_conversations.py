"""Conversations whose text is more than content, with a tiny model of random weights and its own control tokens."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from fakes.tiny_models import write_sentencepiece_model
from puna.domain.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolChoiceMode
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    CompletionBuilder,
    Finished,
    FinishReason,
    GenerationRequest,
    InfillPrompt,
    Sampling,
    Started,
    TextPrompt,
    TokenPrompt,
)
from puna.domain.models import ModelEntry
from puna.engine.remote import RemoteWorker
from puna.errors import InvalidRequestError
from puna.models.header import read_model_header

StartWorker = Callable[..., Awaitable[RemoteWorker]]

HERMES = """{%- if tools %}{%- for tool in tools %}{{ tool | tojson }}
{%- endfor %}{%- endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{%- endfor -%}
<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is not defined or enable_thinking %}<think>
{% else %}<think>

</think>

{% endif %}{%- endif %}"""
CONTROL = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>")
GAP = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
AGE = '{"type":"object","properties":{"age":{"type":"integer","maximum":99}},"required":["age"]}'
ADD = Tool(
    "add",
    "Adds.",
    '{"type":"object","properties":{"a":{"type":"integer","maximum":9,"minimum":0}},"required":["a"]}',
)
PING = Tool("ping")
LogitBias = tuple[tuple[int, float], ...]
HELLO = (Message(Role.USER, "the llama"),)


@pytest.fixture
async def thinker(start_worker: StartWorker, tmp_path: Path) -> RemoteWorker:
    path = write_sentencepiece_model(
        tmp_path / "thinker.gguf",
        control_tokens=(*CONTROL, *GAP),
        infill_tokens=GAP,
        chat_template=HERMES,
    )
    return await start_worker(ModelEntry(id="thinker", name="thinker", path=path, size_bytes=1))


@pytest.fixture
def brief(thinker: RemoteWorker, tmp_path: Path) -> LogitBias:
    """Makes the end of reasoning likely, which random weights rarely find."""
    control = (*CONTROL, *GAP)
    count = read_model_header(tmp_path / "thinker.gguf").token_count
    return ((count - len(control) + control.index("</think>"), 5.0),)


async def complete(worker: RemoteWorker, request: GenerationRequest) -> Completion:
    builder = CompletionBuilder()
    started: list[Started] = []
    async for event in worker.generate(request):
        match event:
            case Started():
                started.append(event)
            case Finished():
                assert [each.prompt_tokens for each in started] == [event.usage.prompt_tokens]
                return builder.finish(event)
            case _:
                assert started, "the start comes first"
                builder.push(event)
    raise AssertionError("no last event")


def ask(
    chat: ChatPrompt, *, max_tokens: int = 200, seed: int = 1, schema: str | None = None, bias: LogitBias = ()
) -> GenerationRequest:
    return GenerationRequest(
        prompt=chat,
        sampling=Sampling(temperature=1.0, top_k=40, seed=seed, logit_bias=bias),
        max_tokens=max_tokens,
        constraint=None if schema is None else JsonSchemaConstraint(schema),
    )


def arguments_of(calls: Sequence[ToolCall]) -> list[tuple[str, object]]:
    return [(call.name, json.loads(call.arguments)) for call in calls]


async def test_the_model_says_what_it_can(thinker: RemoteWorker, worker: RemoteWorker) -> None:
    assert (thinker.loaded.can_think, thinker.loaded.can_infill) == (True, True)
    assert (worker.loaded.can_think, worker.loaded.can_infill) == (False, False)


@pytest.mark.parametrize("seed", range(6))
async def test_demanded_calls_come_as_calls_behind_control_tokens(thinker: RemoteWorker, seed: int) -> None:
    choice = ToolChoice(ToolChoiceMode.REQUIRED)
    chat = ChatPrompt(HELLO, tools=(ADD, PING), choice=choice, is_thinking=False)
    completion = await complete(thinker, ask(chat, seed=seed))
    assert completion.finished.reason is FinishReason.TOOL_CALLS
    assert (completion.text, completion.reasoning) == ("", "")
    assert 1 <= len(completion.tool_calls) <= 8
    for name, arguments in arguments_of(completion.tool_calls):
        assert arguments == {} if name == "ping" else arguments in [{"a": number} for number in range(10)]


async def test_a_named_tool_is_called_once(thinker: RemoteWorker) -> None:
    choice = ToolChoice(ToolChoiceMode.NAMED, "add")
    completion = await complete(thinker, ask(ChatPrompt(HELLO, (PING, ADD), choice, is_thinking=False)))
    assert [call.name for call in completion.tool_calls] == ["add"]


async def test_reasoning_goes_before_a_demanded_call(thinker: RemoteWorker, brief: LogitBias) -> None:
    choice = ToolChoice(ToolChoiceMode.NAMED, "add")
    completion = await complete(thinker, ask(ChatPrompt(HELLO, (ADD,), choice), bias=brief))
    assert [call.name for call in completion.tool_calls] == ["add"]
    assert completion.reasoning


async def test_all_text_of_a_prompt_that_opens_reasoning_is_reasoning(thinker: RemoteWorker) -> None:
    completion = await complete(thinker, ask(ChatPrompt(HELLO), max_tokens=5))
    assert completion.reasoning
    assert completion.text == ""


async def test_an_answer_in_a_format_does_not_think_unless_it_is_asked_to(
    thinker: RemoteWorker, brief: LogitBias
) -> None:
    silent = await complete(thinker, ask(ChatPrompt(HELLO), schema=AGE))
    assert json.loads(silent.text)["age"] <= 99
    assert silent.reasoning == ""
    loud = await complete(thinker, ask(ChatPrompt(HELLO, is_thinking=True), schema=AGE, bias=brief))
    assert json.loads(loud.text)["age"] <= 99
    assert loud.reasoning


async def test_a_format_and_tools_give_either(thinker: RemoteWorker) -> None:
    chat = ChatPrompt(HELLO, tools=(ADD,), is_thinking=False)
    seen = set()
    for seed in range(12):
        completion = await complete(thinker, ask(chat, schema=AGE, seed=seed))
        if completion.tool_calls:
            assert completion.finished.reason is FinishReason.TOOL_CALLS
            assert {name for name, _ in arguments_of(completion.tool_calls)} == {"add"}
        else:
            assert json.loads(completion.text)["age"] <= 99
        seen.add(bool(completion.tool_calls))
    assert seen == {True, False}


async def test_hidden_tools_are_not_called(thinker: RemoteWorker) -> None:
    shown = await thinker.count_tokens(ChatPrompt(HELLO, tools=(ADD,)))
    hidden = await thinker.count_tokens(ChatPrompt(HELLO, (ADD,), ToolChoice(ToolChoiceMode.NONE)))
    assert hidden == await thinker.count_tokens(ChatPrompt(HELLO)) < shown


async def test_an_answer_that_was_begun_goes_on(thinker: RemoteWorker) -> None:
    begun = ChatPrompt((*HELLO, Message(Role.ASSISTANT, '{"age": ')), is_thinking=False)
    plain = await thinker.count_tokens(ChatPrompt(HELLO, is_thinking=False))
    assert plain < await thinker.count_tokens(begun) < plain + 10
    open_thought = await thinker.count_tokens(ChatPrompt((*HELLO, Message(Role.ASSISTANT, "Well"))))
    assert open_thought > await thinker.count_tokens(ChatPrompt(HELLO))
    completion = await complete(
        thinker, ask(ChatPrompt((*HELLO, Message(Role.ASSISTANT, "Well"))), max_tokens=4)
    )
    assert completion.reasoning == ""


async def test_a_gap_is_filled_between_its_tokens(thinker: RemoteWorker, worker: RemoteWorker) -> None:
    gap = InfillPrompt("the", "llama")
    before = await thinker.count_tokens(TextPrompt("the"))
    behind = await thinker.count_tokens(TextPrompt("llama"))
    assert await thinker.count_tokens(gap) == before + behind + 2
    filled = await complete(thinker, GenerationRequest(prompt=gap, max_tokens=3))
    assert filled.finished.usage.completion_tokens <= 3
    with pytest.raises(InvalidRequestError, match="cannot insert text"):
        await complete(worker, GenerationRequest(prompt=gap, max_tokens=3))


async def test_a_prompt_may_be_tokens_of_the_model(worker: RemoteWorker) -> None:
    prompt = TokenPrompt((300, 301, 302))
    assert await worker.count_tokens(prompt) == 3
    completion = await complete(worker, GenerationRequest(prompt=prompt, max_tokens=3))
    assert completion.finished.usage.prompt_tokens == 3
    with pytest.raises(InvalidRequestError, match="token 99999"):
        await worker.count_tokens(TokenPrompt((1, 99_999)))


async def test_what_does_not_fit_can_be_counted(worker: RemoteWorker) -> None:
    assert await worker.count_tokens(TextPrompt("word " * 5000)) > worker.loaded.context_length


async def test_a_broken_prompt_cannot_be_counted(worker: RemoteWorker) -> None:
    choice = ToolChoice(ToolChoiceMode.REQUIRED)
    with pytest.raises(InvalidRequestError, match="there are no tools"):
        await complete(worker, ask(ChatPrompt(HELLO, choice=choice)))
    assert await worker.count_tokens(TextPrompt("fine")) > 0


async def test_tools_are_taught_to_a_model_whose_template_has_none(worker: RemoteWorker) -> None:
    choice = ToolChoice(ToolChoiceMode.REQUIRED, is_parallel=False)
    completion = await complete(worker, ask(ChatPrompt(HELLO, (ADD, PING), choice), max_tokens=400))
    assert len(completion.tool_calls) == 1
    assert completion.finished.reason is FinishReason.TOOL_CALLS


HARMONY = """{%- for message in messages -%}
<|start|>{{ message.role }}<|message|>{{ message.content }}<|end|>{% endfor %}
{%- if add_generation_prompt %}<|start|>assistant{% endif %}{# <|channel|> {{ tools }} reasoning_effort #}"""
CHANNELS = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>")


async def test_channels_of_gpt_oss_become_reasoning_calls_and_answers(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    path = write_sentencepiece_model(tmp_path / "oss.gguf", control_tokens=CHANNELS, chat_template=HARMONY)
    oss = await start_worker(ModelEntry(id="oss", name="oss", path=path, size_bytes=1))
    end = read_model_header(path).token_count - len(CHANNELS) + CHANNELS.index("<|end|>")
    bias = ((end, 5.0),)
    thoughts = set()
    for seed in range(8):
        choice = ToolChoice(ToolChoiceMode.NAMED, "add")
        called = await complete(oss, ask(ChatPrompt(HELLO, (ADD,), choice), bias=bias, seed=seed))
        assert [call.name for call in called.tool_calls] == ["add"]
        assert called.text == ""
        answered = await complete(oss, ask(ChatPrompt(HELLO), schema=AGE, bias=bias, seed=seed))
        assert json.loads(answered.text)["age"] <= 99
        thoughts |= {bool(called.reasoning), bool(answered.reasoning)}
    assert thoughts == {True, False}
