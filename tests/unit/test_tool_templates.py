"""Tools, calls and their results in prompts: templates in the style of each family, and those without tools."""

import json

import pytest

from fakes.tool_texts import PING, TOOLS, WEATHER
from puna.domain.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolChoiceMode
from puna.errors import GenerationError, InvalidRequestError
from puna.prompting.chat_template import ChatTemplate, choose_formatter
from puna.prompting.tools.generic import GenericFormat
from puna.prompting.tools.json_format import GRANITE, HERMES, LLAMA
from puna.prompting.tools.mistral import MistralFormat

HERMES_STYLE = """\
{%- if tools %}{{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- 'Tools:' }}{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '\\nCall them as <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if message.reasoning_content is defined %}
            {{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- message.content }}
        {%- for tool_call in message.tool_calls %}
            {%- set call = tool_call.function %}
            {{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""

LLAMA_STYLE = """\
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        {%- if message.tool_calls | length != 1 %}
            {{- raise_exception('This model only supports single tool-calls at once!') }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' + call.name }}
        {{- '", "parameters": ' + call.arguments | tojson + '}<|eot_id|>' }}
    {%- elif message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' + message.content | tojson + '<|eot_id|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}
        {%- if tools is not none and message.role == 'user' and loop.first %}
            {{- 'Respond with {"name": function name, "parameters": dictionary}.\\n' + tools | tojson }}
        {%- endif %}
        {{- message.content + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
"""

MISTRAL_STYLE = """\
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {%- if tools is not none %}{{- '[AVAILABLE_TOOLS]' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{%- endif %}
        {{- '[INST]' + message.content + '[/INST]' }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- '[TOOL_CALLS][' }}
        {%- for tool_call in message.tool_calls %}
            {%- if not tool_call.id is defined or tool_call.id | length != 9 %}
                {{- raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}
            {%- endif %}
            {{- (tool_call.function | tojson)[:-1] + ', "id": "' + tool_call.id + '"}' }}
            {{- ', ' if not loop.last }}
        {%- endfor %}
        {{- ']' + eos_token }}
    {%- elif message.role == 'assistant' %}{{- message.content + eos_token }}
    {%- elif message.role == 'tool' %}
        {%- if message.tool_call_id | length != 9 %}{{- raise_exception('ids!') }}{%- endif %}
        {{- '[TOOL_RESULTS]{"content": ' + message.content + ', "call_id": "' + message.tool_call_id + '"}' }}
        {{- '[/TOOL_RESULTS]' }}
    {%- else %}{{- raise_exception('Only user and assistant roles are supported!') }}
    {%- endif %}
{%- endfor %}
"""

GRANITE_STYLE = """\
{%- if tools %}{{- '<|start_of_role|>available_tools<|end_of_role|>' + tools | tojson(indent=4) + '\\n' }}
    {{- 'Respond with <|tool_call|> followed by a JSON list of tools used.' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|start_of_role|>' + message.role + '<|end_of_role|>' + message.content + '<|end_of_text|>\\n' }}
{%- endfor %}
"""

GEMMA_STYLE = """\
{%- if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}
{{- '<start_of_turn>' ~ message['role'] ~ '\\n' ~ message['content'] ~ '<end_of_turn>\\n' }}
{%- endfor %}
"""

HARMONY_STYLE = """\
{%- if tools %}{%- for tool in tools %}{{- 'type ' + tool.function.name }}{%- endfor %}{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- if '<|channel|>analysis<|message|>' in message.content %}{{- raise_exception('tags') }}{%- endif %}
        {%- if 'tool_calls' in message %}
            {%- if message.content and message.thinking %}
                {{- raise_exception('Cannot pass both content and thinking!') }}
            {%- elif message.thinking %}
                {{- '<|start|>assistant<|channel|>analysis<|message|>' + message.thinking + '<|end|>' }}
            {%- endif %}
            {%- set call = message.tool_calls[0].function %}
            {{- '<|start|>assistant to=functions.' + call.name + '<|channel|>commentary json<|message|>' }}
            {{- call.arguments | tojson + '<|call|>' }}
        {%- else %}{{- '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>' }}
        {%- endif %}
    {%- elif message.role == 'tool' %}
        {{- '<|start|>functions to=assistant<|channel|>commentary<|message|>' + message.content + '<|end|>' }}
    {%- else %}{{- '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{{- 'Reasoning: ' + reasoning_effort | default('medium') }}
"""

CHATML = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{{- '<|im_start|>assistant\\n' }}
"""

SYSTEM = Message(Role.SYSTEM, "Be brief.")
USER = Message(Role.USER, "How is it in Lima?")
CALLS = (
    ToolCall("call_0123456789abcdef", "get_weather", '{"city": "Lima", "days": 3}'),
    ToolCall("call_fedcba9876543210", "ping", "{}"),
)
ASKED = (
    USER,
    Message(Role.ASSISTANT, "", tool_calls=CALLS),
    Message(Role.TOOL, "Sunny", tool_call_id=CALLS[0].id),
    Message(Role.TOOL, "Pong", tool_call_id=CALLS[1].id),
)


def test_tools_calls_and_results_are_rendered_by_the_model_s_own_template() -> None:
    template = ChatTemplate(HERMES_STYLE)
    assert template.output_format.tools is HERMES
    prompt = template.render([SYSTEM, *ASKED], tools=TOOLS)
    head, lines, rest = (
        prompt[: prompt.index("Tools:")],
        prompt.splitlines(),
        prompt[prompt.index("How is") :],
    )
    assert head == "<|im_start|>system\nBe brief.\n\n"
    shown = [json.loads(line)["function"] for line in lines if line.startswith('{"type": "function"')]
    assert [tool["name"] for tool in shown] == ["get_weather", "ping"]
    assert shown[0] == {
        "name": "get_weather",
        "description": WEATHER.description,
        "parameters": json.loads(WEATHER.parameters),
    }
    assert rest == (
        "How is it in Lima?<|im_end|>\n<|im_start|>assistant\n\n"
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Lima", "days": 3}}\n</tool_call>\n'
        '<tool_call>\n{"name": "ping", "arguments": {}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\nSunny\n</tool_response><|im_end|>\n"
        "<|im_start|>user\n<tool_response>\nPong\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def test_without_tools_a_prompt_is_what_it_always_was() -> None:
    template = ChatTemplate(HERMES_STYLE)
    assert template.render([SYSTEM, USER]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHow is it in Lima?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_reasoning_goes_where_the_template_wants_it() -> None:
    thought = Message(Role.ASSISTANT, "Sunny.", reasoning="Look outside.")
    assert "<think>\nLook outside.\n</think>\n\nSunny.<|im_end|>" in ChatTemplate(HERMES_STYLE).render(
        [USER, thought]
    )


def test_variables_reach_a_template_that_knows_them() -> None:
    template = ChatTemplate(HERMES_STYLE)
    assert "enable_thinking" in template.variables
    off = template.to_thinking_variables(is_wanted=False)
    assert off == {"enable_thinking": False}
    assert template.render([USER], variables=off).endswith("<think>\n\n</think>\n\n")
    assert template.render([USER], variables={"messages": [], "unknown": 1, "tools": []}) == template.render(
        [USER]
    )


def test_a_model_that_makes_one_call_at_a_time_is_shown_one_at_a_time() -> None:
    template = ChatTemplate(LLAMA_STYLE)
    assert template.output_format.tools is LLAMA
    prompt = template.render(ASKED, tools=TOOLS)
    assert prompt[prompt.index("Lima?") :] == (
        "Lima?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        '{"name": "get_weather", "parameters": {"city": "Lima", "days": 3}}<|eot_id|>'
        '<|start_header_id|>ipython<|end_header_id|>\n\n"Sunny"<|eot_id|>'
        '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "ping", "parameters": {}}<|eot_id|>'
        '<|start_header_id|>ipython<|end_header_id|>\n\n"Pong"<|eot_id|>'
    )


def test_ids_are_made_to_fit_and_stay_pairs() -> None:
    template = ChatTemplate(MISTRAL_STYLE, eos_token="</s>")
    assert template.output_format.tools == MistralFormat(has_names=False)
    prompt = template.render(ASKED, tools=TOOLS)
    calls = json.loads(prompt.partition("[TOOL_CALLS]")[2].partition("</s>")[0])
    ids = [call["id"] for call in calls]
    assert [len(call_id) for call_id in ids] == [9, 9]
    assert f'"call_id": "{ids[0]}"' in prompt.partition("Sunny")[2].partition("[/")[0]
    assert f'"call_id": "{ids[1]}"' in prompt.partition("Pong")[2]
    own = [Message(m.role, m.content, None, m.tool_calls, "abcDEF123") for m in ASKED[2:3]]
    assert '"call_id": "abcDEF123"' in template.render([*ASKED[:2], *own], tools=TOOLS)


def test_calls_that_a_template_leaves_out_are_written_in_the_model_s_format() -> None:
    template = ChatTemplate(GRANITE_STYLE)
    assert template.output_format.tools is GRANITE
    prompt = template.render(ASKED, tools=TOOLS)
    assert (
        '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Lima", "days": 3}},'
        ' {"name": "ping", "arguments": {}}]<|end_of_text|>'
    ) in prompt
    assert "<|start_of_role|>tool<|end_of_role|>Sunny<|end_of_text|>" in prompt


def test_gpt_oss_gets_one_call_a_message_and_its_thoughts_in_one_place() -> None:
    template = ChatTemplate(HARMONY_STYLE)
    thinking = Message(Role.ASSISTANT, "One moment.", reasoning="Hm.", tool_calls=CALLS)
    prompt = template.render(
        [USER, thinking, *ASKED[2:]], tools=TOOLS, variables={"reasoning_effort": "high"}
    )
    assert "<|channel|>analysis<|message|>Hm.\n\nOne moment.<|end|>" in prompt
    assert prompt.index("functions.get_weather") < prompt.index("Sunny") < prompt.index("functions.ping")
    assert prompt.endswith("Reasoning: high")


def test_a_model_without_tools_in_its_template_is_taught_them_in_the_system_message() -> None:
    template = ChatTemplate(CHATML)
    assert isinstance(template.output_format.tools, GenericFormat)
    prompt = template.render([SYSTEM, *ASKED], tools=TOOLS)
    assert prompt.startswith("<|im_start|>system\nBe brief.\n\nYou can call functions.")
    for tool in TOOLS:
        line = next(line for line in prompt.splitlines() if f'"name": "{tool.name}"' in line)
        assert json.loads(line)["parameters"] == json.loads(tool.parameters)
    assert '{"tool_calls": [{"name": "<name of the function>", "arguments": {<its arguments>}}]}' in prompt
    assert prompt.endswith(
        '<|im_start|>assistant\n{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Lima", "days": 3}},'
        ' {"name": "ping", "arguments": {}}]}<|im_end|>\n'
        "<|im_start|>user\nResult of get_weather:\nSunny\n\nResult of ping:\nPong<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_what_is_taught_depends_on_nothing_but_the_conversation() -> None:
    assert ChatTemplate(CHATML).render(ASKED, tools=TOOLS) == ChatTemplate(CHATML).render(ASKED, tools=TOOLS)


def test_a_template_with_strict_turns_takes_calls_and_results() -> None:
    template = ChatTemplate(GEMMA_STYLE)
    prompt = template.render([SYSTEM, *ASKED, Message(Role.USER, "And now?")], tools=TOOLS)
    turns = prompt.split("<start_of_turn>")[1:]
    assert [turn.partition("\n")[0] for turn in turns] == ["user", "assistant", "user"]
    assert turns[0].startswith("user\nBe brief.\n\nYou can call functions.")
    assert (
        turns[2] == "user\nResult of get_weather:\nSunny\n\nResult of ping:\nPong\n\nAnd now?<end_of_turn>\n"
    )


def test_calls_of_an_earlier_answer_are_shown_without_tools_at_hand() -> None:
    assert "Result of ping:\nPong" in ChatTemplate(CHATML).render(ASKED)
    assert "You can call functions" not in ChatTemplate(CHATML).render(ASKED)
    assert "<tool_response>\nPong" in ChatTemplate(HERMES_STYLE).render(ASKED)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ToolChoice(), "Otherwise answer in plain text."),
        (ToolChoice(is_parallel=False), "Call one function at a time."),
        (ToolChoice(ToolChoiceMode.REQUIRED), "You must call a function now."),
        (ToolChoice(ToolChoiceMode.NAMED, "ping"), "You must call the function ping now."),
    ],
)
def test_the_model_is_told_what_it_must_do(choice: ToolChoice, said: str) -> None:
    assert said in ChatTemplate(CHATML).render([USER], tools=TOOLS, choice=choice)


def test_the_plain_format_has_tools_too() -> None:
    formatter = choose_formatter(None)
    prompt = formatter.render(ASKED, tools=TOOLS)
    assert prompt.startswith("### System:\nYou can call functions.")
    assert '### Assistant:\n{"tool_calls": [{"name": "get_weather"' in prompt
    assert "### Tool:\nSunny\n\n" in prompt
    assert isinstance(formatter.output_format.tools, GenericFormat)
    assert formatter.variables == frozenset()
    assert formatter.to_thinking_variables(is_wanted=True) == {}


def test_a_template_of_its_own_for_tools_is_used_for_them() -> None:
    template = choose_formatter(CHATML, tool_source=HERMES_STYLE)
    assert template.output_format.tools is HERMES
    assert "Tools:\n" in template.render([USER], tools=TOOLS)
    assert "<tool_response>" in template.render(ASKED)
    assert template.render([USER]) == ChatTemplate(CHATML).render([USER])
    broken = choose_formatter(CHATML, tool_source="{% if %}")
    assert "You can call functions" in broken.render([USER], tools=TOOLS)


CALL_STYLES = {
    "wants text": "{{ m.tool_calls[0].function.name + '(' + m.tool_calls[0].function.arguments + ')' }}",
    "prints what it gets": "{{ m.tool_calls[0].function.name ~ '(' ~ m.tool_calls[0].function.arguments ~ ')' }}",
    "wants an object": (
        "{{ m.tool_calls[0].function.name }}("
        "{% for key, value in m.tool_calls[0].function.arguments.items() %}{{ key }}={{ value }},{% endfor %})"
    ),
    "wants no content": (
        "{% if m.content is none %}{{ m.tool_calls[0].function.name ~ '(' }}"
        "{{ m.tool_calls[0].function.arguments | tojson }}){% endif %}"
    ),
}


@pytest.mark.parametrize("style", CALL_STYLES)
def test_arguments_and_content_come_as_a_template_takes_them(style: str) -> None:
    source = (
        "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{% if m.tool_calls %}"
        + CALL_STYLES[style]
        + "{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    call = ToolCall("call_1", "get_weather", '{"city": "Lima"}')
    turns = [
        USER,
        Message(Role.ASSISTANT, "", tool_calls=(call,)),
        Message(Role.TOOL, "Sunny", tool_call_id="call_1"),
    ]
    prompt = ChatTemplate(source).render(turns, tools=[PING])
    wanted = "get_weather(city=Lima,)" if style == "wants an object" else 'get_weather({"city": "Lima"})'
    assert wanted in prompt


def test_arguments_that_are_no_object_go_through_as_text() -> None:
    call = ToolCall("call_1", "ping", "{oops")
    turns = [USER, Message(Role.ASSISTANT, "", tool_calls=(call,))]
    for source in (HERMES_STYLE, GRANITE_STYLE, CHATML):
        assert "{oops" in ChatTemplate(source).render(turns, tools=TOOLS)


@pytest.mark.parametrize(
    "parameters",
    ["no JSON", "[1]", "true", '{"type": "string"}', "[" * 100_000, '{"a":' * 40 + "1" + "}" * 40],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("source", [HERMES_STYLE, CHATML, None])
def test_a_tool_without_a_proper_schema_is_named(source: str | None, parameters: str) -> None:
    with pytest.raises(InvalidRequestError, match="'bad tool'") as caught:
        choose_formatter(source).render([USER], tools=[WEATHER, Tool("bad tool", "", parameters)])
    assert caught.value.field == "tools"


def test_what_a_template_says_of_tools_reaches_the_user() -> None:
    refusing = "{% if tools %}{{ tools[0].function.name }}{% endif %}{{ raise_exception('No ' ~ messages | length) }}"
    with pytest.raises(GenerationError, match=r"refuses the messages: No 1\."):
        ChatTemplate(refusing).render([USER], tools=TOOLS)


def test_trying_a_hostile_template_ends_within_the_limits_of_one_rendering() -> None:
    loops = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"
    template = ChatTemplate(loops)
    assert isinstance(template.output_format.tools, GenericFormat)
    assert ChatTemplate("{{ 'a' * 10**10 }}").output_format.tools is not None


def test_long_tools_and_calls_stay_within_the_limits() -> None:
    tools = [Tool(f"tool_{i}", "x" * 2_000, WEATHER.parameters) for i in range(200)]
    call = ToolCall("call_1", "tool_1", json.dumps({"city": "y" * 300_000}))
    turns = [
        USER,
        Message(Role.ASSISTANT, "", tool_calls=(call,)),
        Message(Role.TOOL, "z" * 500_000, None, (), "call_1"),
    ]
    for source in (HERMES_STYLE, CHATML):
        assert len(ChatTemplate(source).render(turns, tools=tools)) > 1_200_000
