"""Conversations to prompts: templates of the common families, and the format without one."""

import pytest

from puna.domain.chat import Message, Role
from puna.errors import GenerationError, InvalidRequestError
from puna.models.header import read_model_header
from puna.paths import Paths
from puna.prompting.chat_template import ChatTemplate, choose_formatter
from puna.prompting.stop_strings import check_stop_strings

CHATML = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

LLAMA3 = """\
{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = '' %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}
{%- if tools is not none %}{{- 'Environment: ipython\\n' }}{%- endif %}
{{- 'Cutting Knowledge Date: December 2023\\n\\n' + system_message + '<|eot_id|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""

MISTRAL = """\
{%- set loop_messages = messages -%}
{%- if messages[0]['role'] == 'system' -%}
    {%- set system_message = messages[0]['content'] -%}
    {%- set loop_messages = messages[1:] -%}
{%- endif -%}
{{- bos_token -}}
{%- set ns = namespace(index=0) -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (ns.index % 2 == 0) -%}
        {{- raise_exception('After the optional system message, conversation roles must alternate') -}}
    {%- endif -%}
    {%- set ns.index = ns.index + 1 -%}
    {%- if message['role'] == 'user' -%}
        {%- if loop.last and system_message is defined -%}
            {{- '[INST] ' + system_message + '\\n\\n' + message['content'] + '[/INST]' -}}
        {%- else -%}
            {{- '[INST] ' + message['content'] + '[/INST]' -}}
        {%- endif -%}
    {%- else -%}
        {{- ' ' + message['content'] + eos_token -}}
    {%- endif -%}
{%- endfor -%}
"""

GEMMA = """\
{{ bos_token }}
{%- if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' ~ role ~ '\\n' ~ message['content'] | trim ~ '<end_of_turn>\\n' }}
{%- endfor %}
{% if add_generation_prompt %}
{{ '<start_of_turn>model\\n' -}}
{% endif %}
"""

THINKING = """\
{%- macro heading(name) -%}<|{{ name }}|>{%- endmacro -%}
{%- for message in messages if message.role != 'system' %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {%- if loop.index0 > 100 %}{%- break %}{%- endif %}
    {{- heading(message.role) }}{% generation %}{{ content }}{% endgeneration %}
{%- endfor -%}
{{- messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list | tojson -}}
"""

SYSTEM = Message(Role.SYSTEM, "Be brief.")
USER = Message(Role.USER, "Who are you?")
ASSISTANT = Message(Role.ASSISTANT, "Puna.")


def refused(template: str, *messages: Message) -> str:
    with pytest.raises(GenerationError) as caught:
        ChatTemplate(template).render(messages or [USER])
    message = caught.value.message
    assert message.startswith("This model's chat template ")
    assert message.isprintable()
    assert len(message) < 400
    return message


def test_chatml() -> None:
    prompt = ChatTemplate(CHATML).render([SYSTEM, USER])
    assert prompt == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_generation_prompt_can_be_left_out() -> None:
    prompt = ChatTemplate(CHATML).render([USER, ASSISTANT], add_generation_prompt=False)
    assert prompt.endswith("<|im_start|>assistant\nPuna.<|im_end|>\n")


def test_llama_3() -> None:
    template = ChatTemplate(LLAMA3, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    assert template.render([SYSTEM, USER, ASSISTANT, USER]) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWho are you?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nPuna.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWho are you?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_mistral() -> None:
    template = ChatTemplate(MISTRAL, bos_token="<s>", eos_token="</s>")
    assert template.render([SYSTEM, USER, ASSISTANT, USER]) == (
        "<s>[INST] Who are you?[/INST] Puna.</s>[INST] Be brief.\n\nWho are you?[/INST]"
    )


def test_a_template_that_refuses_a_system_message_gets_it_in_the_first_user_message() -> None:
    prompt = ChatTemplate(GEMMA, bos_token="<bos>").render([SYSTEM, USER, ASSISTANT, USER])
    assert prompt == (
        "<bos><start_of_turn>user\nBe brief.\n\nWho are you?<end_of_turn>\n"
        "<start_of_turn>model\nPuna.<end_of_turn>\n"
        "<start_of_turn>user\nWho are you?<end_of_turn>\n"
        "<start_of_turn>model\n"
    )


def test_a_system_message_alone_becomes_the_user_s() -> None:
    assert "<start_of_turn>user\nBe brief.<end_of_turn>" in ChatTemplate(GEMMA).render([SYSTEM])


def test_a_template_that_leaves_system_text_out_gets_it_in_the_first_user_message() -> None:
    prompt = ChatTemplate(THINKING).render([SYSTEM, USER])
    assert prompt == '<|user|>Be brief.\n\nWho are you?["Be brief.\\n\\nWho are you?"]'


def test_a_template_that_knows_no_developer_gets_a_system_message() -> None:
    developer = Message(Role.DEVELOPER, "Be brief.")
    assert ChatTemplate(CHATML).render([developer, USER]) == ChatTemplate(CHATML).render([SYSTEM, USER])
    knowing = "{% for m in messages %}{% if m.role == 'developer' %}[{{ m.content }}]{% endif %}{% endfor %}"
    assert ChatTemplate(knowing).render([developer]) == "[Be brief.]"


def test_what_the_template_says_about_bad_messages_reaches_the_user() -> None:
    with pytest.raises(GenerationError) as caught:
        ChatTemplate(GEMMA).render([SYSTEM, USER, USER])
    assert caught.value.message == (
        "This model's chat template refuses the messages:"
        " Conversation roles must alternate user/assistant/user/assistant/."
    )
    assert "one two" in refused("{{ raise_exception('one\\n\\n  two') }}")
    assert refused("{{ raise_exception('x' * 9000) }}").endswith("…" + ".")


def test_filters_macros_breaks_and_generation_tags_work() -> None:
    thinking = Message(Role.ASSISTANT, "<think>Hm.</think>\n\nPuna <b>&é.")
    prompt = ChatTemplate(THINKING).render([USER, thinking, USER])
    assert prompt == (
        '<|user|>Who are you?<|assistant|>Puna <b>&é.<|user|>Who are you?["Who are you?", "Who are you?"]'
    )


def test_json_is_not_escaped_for_html() -> None:
    template = "{{ {'b': '<é>', 'a': [1, none, true]} | tojson }}{{ [1] | tojson(indent=2) }}"
    assert ChatTemplate(template).render([USER]) == '{"b": "<é>", "a": [1, null, true]}[\n  1\n]'


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("messages | length", "1"),
        ("messages[0]['content'][:3] ~ '|' ~ messages[-1].content[-4:]", "Who|you?"),
        ("'%s-%02d' % ('a', 7)", "a-07"),
        ("'{}-{:>3}'.format('a', 7)", "a-  7"),
        ("'%s' | format('a')", "a"),
        ("['b', 'a'] | sort | join(', ')", "a, b"),
        ("{'a': 1}.items() | list", "[('a', 1)]"),
        ("dict(a=1)['a'] + 2 ** 3 * 2 // 3 - 1", "5"),
        ("'a,b'.split(',') | map('upper') | list", "['A', 'B']"),
        ("undefined_thing is defined", "False"),
        ("undefined_thing", ""),
        ("none", "None"),
        ("'x' in ['x'] and 'y' not in 'abc'", "True"),
        ("[1, 2] == [1, 2] and 1 < 2 <= 2", "True"),
        ("' a\nb' | trim | indent(2, first=true)", "  a\n  b"),
        ("'<b>' | safe ~ ('<' | e)", "<b>&lt;"),
        ("range(3) | list", "[0, 1, 2]"),
        ("messages | groupby('role') | map(attribute='grouper') | first", "user"),
        ("'Ab'.lower().replace('a', 'c').startswith('cb')", "True"),
        ("(-7) | abs + '3' | int + 2.5 | round | int", "12"),
        ("loop_controls | default('none')", "none"),
        ("[[1, 2], [3]] | sum(start=0, attribute=0)", "4"),
    ],
)
def test_expressions_mean_what_they_mean_in_jinja(expression: str, shown: str) -> None:
    template = ChatTemplate("{{ " + expression + " }}")
    assert template.problem is None
    assert template.render([USER]) == shown


def test_the_beginning_of_text_is_not_written_twice() -> None:
    with_token = ChatTemplate("{{ bos_token }}{{ messages[0].content }}", bos_token="<s>")
    assert with_token.starts_with_bos(with_token.render([USER]))
    without = ChatTemplate("{{ messages[0].content }}", bos_token="<s>")
    assert not without.starts_with_bos(without.render([USER]))
    assert not ChatTemplate("x", bos_token="").starts_with_bos("x")


def test_a_model_without_template_gets_the_plain_format() -> None:
    for source in (None, "", " \n"):
        formatter = choose_formatter(source, "<s>", "</s>")
        prompt = formatter.render([SYSTEM, USER, ASSISTANT, USER])
        assert prompt == (
            "### System:\nBe brief.\n\n### User:\nWho are you?\n\n### Assistant:\nPuna.\n\n"
            "### User:\nWho are you?\n\n### Assistant:\n"
        )
        assert formatter.render([USER], add_generation_prompt=False) == "### User:\nWho are you?\n\n"
        assert "\n### User:" in formatter.stop_strings
        check_stop_strings(formatter.stop_strings)
        assert not formatter.starts_with_bos(prompt)


def test_a_model_with_template_has_no_stop_strings_of_its_own() -> None:
    assert choose_formatter(CHATML).stop_strings == ()


def test_the_demo_model_s_template_works() -> None:
    header = read_model_header(Paths.for_user().demo_model)
    prompt = choose_formatter(header.chat_template).render([Message(Role.USER, "What is Puna?")])
    assert "What is Puna?" in prompt
    assert prompt.count("What is Puna?") == 1


@pytest.mark.parametrize("source", [None, CHATML])
def test_no_messages_are_an_invalid_request(source: str | None) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        choose_formatter(source).render([])
    assert caught.value.field == "messages"


def test_a_broken_template_is_a_problem_only_when_it_is_needed() -> None:
    template = ChatTemplate("{% if messages %}")
    assert template.problem is not None
    assert "cannot be compiled" in template.problem
    assert "line 1" in template.problem
    for _ in range(2):
        with pytest.raises(GenerationError, match="cannot be compiled"):
            template.render([USER])


def test_a_template_that_breaks_says_how() -> None:
    assert refused("{{ nothing.at.all }}").endswith("failed: 'nothing' is undefined.")
    assert "failed: " in refused("{{ 1 // 0 }}")
    assert "failed: " in refused("{{ messages[0].content.nothing.at_all }}")
    assert "No filter named 'urlize'" in refused("{{ 'a' | urlize }}")


def test_long_conversations_stay_within_the_limits() -> None:
    turns = [USER, ASSISTANT] * 1_000
    prompt = ChatTemplate(MISTRAL, "<s>", "</s>").render([SYSTEM, *turns, USER])
    assert prompt.count("[INST]") == 1_001
    short = [Message(Role.USER, "Hi"), Message(Role.ASSISTANT, "Yo")] * 5_000
    assert ChatTemplate(CHATML).render(short * 5).count("<|im_end|>") == 50_000
    long = Message(Role.USER, "llama 🦙 " * 300_000)
    assert len(ChatTemplate(GEMMA).render([SYSTEM, long])) > 2_400_000
