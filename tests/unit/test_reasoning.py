"""What a model thinks, told from what it says."""

import random

import pytest

from fakes.tool_texts import PONG, Reply, parse, to_reply
from puna.domain.generation import ReasoningDelta, TextDelta
from puna.prompting.output_format import OutputFormat, choose_output_format
from puna.prompting.thinking import to_thinking_variables

THINK = choose_output_format("<think></think><tool_call>")
PAIRS = {
    "think": ("<think></think>", "<think>", "</think>"),
    "no template": ("", "<think>", "</think>"),
    "seed": ("</seed:think>", "<seed:think>", "</seed:think>"),
    "mistral": ("[THINK][/THINK]", "[THINK]", "[/THINK]"),
    "reasoning": ("<reasoning></reasoning>", "<reasoning>", "</reasoning>"),
    "thinking": ("<thinking></thinking>", "<thinking>", "</thinking>"),
    "command": ("<|END_THINKING|>", "<|START_THINKING|>", "<|END_THINKING|>"),
    "gemma 4": ("<|channel>thought\\n<channel|>", "<|channel>thought\n", "<channel|>"),
    "granite 3.2": ("Here is my response:", "Here is my thought process:", "Here is my response:"),
}
each_pair = pytest.mark.parametrize(("marks", "begin", "end"), PAIRS.values(), ids=PAIRS)


def read(output_format: OutputFormat, text: str, prompt: str = "Hi") -> Reply:
    """Return what a text says, the same however it is split."""
    events = parse(output_format, [text], prompt=prompt)
    assert parse(output_format, list(text), prompt=prompt) == events
    for cut in range(0, len(text), 3):
        assert parse(output_format, [text[:cut], text[cut:]], prompt=prompt) == events
    return to_reply(events)


@each_pair
def test_reasoning_is_told_from_content(marks: str, begin: str, end: str) -> None:
    output_format = choose_output_format(marks)
    thought = "First,\n\n < this </ ] [ then that."
    assert read(output_format, f"{begin}\n{thought}\n{end}\n\nIt is 4. \n") == Reply(
        "It is 4. \n", thought, []
    )
    assert read(output_format, f"{begin}{thought}{end}It is 4.") == Reply("It is 4.", thought, [])


@each_pair
def test_reasoning_may_begin_in_the_prompt(marks: str, begin: str, end: str) -> None:
    output_format = choose_output_format(marks)
    prompt = f"user: 2 + 2?\nassistant: {begin.rstrip()}\n"
    assert read(output_format, f"Hm.\n{end}\n4", prompt) == Reply("4", "Hm.", [])
    assert read(output_format, f"{begin}Hm.{end}4", prompt) == Reply("4", "Hm.", [])
    assert read(output_format, "Hm. Hm", prompt) == Reply("", "Hm. Hm", [])
    over = f"{prompt}\n{end}\n\n"
    assert read(output_format, "4", over) == Reply("4", "", [])


@each_pair
def test_a_text_without_reasoning_is_content(marks: str, begin: str, end: str) -> None:
    output_format = choose_output_format(marks)
    for text in ("\n\n 4.", f"The tag {begin} begins, {end} ends.", begin[:-1], " \n"):
        assert parse(output_format, list(text)) == [TextDelta(text)]


def test_without_the_closing_tag_all_is_reasoning() -> None:
    assert parse(THINK, ["<think>", "Hm. ", "\n", "</thi"]) == [ReasoningDelta("Hm. \n</thi")]


def test_reasoning_streams_but_for_the_blank_at_its_end() -> None:
    parser = THINK.new_parser("<think>\n")
    assert parser.push("\nHm. ") == [ReasoningDelta("Hm.")]
    assert parser.push("Yes.\n") == [ReasoningDelta(" Yes.")]
    assert parser.push("</think>\n") == []
    assert parser.push("4") == [TextDelta("4")]
    assert parser.flush() == []


def test_a_call_behind_reasoning_is_read_and_one_within_it_is_not() -> None:
    call = '<tool_call>{"name": "ping"}</tool_call>'
    reply = read(THINK, f"<think>I could write {call}.</think>\n\n{call}")
    assert reply == Reply("", f"I could write {call}.", [PONG])


def test_the_tags_around_an_answer_are_left_out() -> None:
    granite = choose_output_format("<think></think><response></response>")
    assert read(granite, "<think>Hm.</think>\n<response>It is 4.</response>") == Reply("It is 4.", "Hm.", [])
    assert read(granite, "<response>It is 4.") == Reply("It is 4.", "", [])
    assert read(granite, "A <response> is </response>.") == Reply("A <response> is </response>.", "", [])


def test_gpt_oss_thinks_in_its_own_channel() -> None:
    harmony = choose_output_format("<|channel|> <|message|>")
    text = (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>analysis<|message|>Ah.<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>One moment.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>It is <4>.<|return|>"
    )
    assert read(harmony, text) == Reply("One moment.\n\nIt is <4>.", "Hm.\n\nAh.", [])


def test_what_a_template_says_of_reasoning_is_known() -> None:
    assert THINK.knows_reasoning
    assert choose_output_format("<|channel|> <|message|>").knows_reasoning
    assert not choose_output_format("<|im_start|>").knows_reasoning


def test_special_tokens_that_the_parser_needs_are_named() -> None:
    assert {"<think>", "</think>", "<tool_call>", "</tool_call>"} <= THINK.markers
    assert {"[THINK]", "[/THINK]"} <= choose_output_format("[/THINK]").markers
    assert {"<|channel|>", "<|end|>", "<|call|>"} <= choose_output_format("<|channel|> <|message|>").markers
    assert "[ARGS]" in choose_output_format("[TOOL_CALLS]").markers
    gemma = choose_output_format("<|tool_call> <tool_call|> <channel|>").markers
    assert gemma == {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", '<|"|>'}
    coder = choose_output_format("<think></think> <tool_call> <function=").markers
    assert coder == {"<think>", "</think>", "<tool_call>", "</tool_call>", "</parameter>", "</function>"}


def test_random_texts_say_the_same_however_they_are_split() -> None:
    rng = random.Random(11)
    parts = [
        "<think>",
        "</think>",
        "<tool_call>",
        "\n",
        " ",
        "a",
        '{"name": "ping"}',
        "</",
        "<response>",
        "🦙",
    ]
    for marks in ("</think><tool_call>", "</think><response>"):
        output_format = choose_output_format(marks)
        for _ in range(150):
            text = "".join(rng.choices(parts, k=rng.randint(1, 12)))
            read(output_format, text, rng.choice(["", "<think>\n"]))


@pytest.mark.parametrize(
    ("names", "is_wanted", "effort", "variables"),
    [
        ({"enable_thinking"}, False, None, {"enable_thinking": False}),
        ({"enable_thinking"}, None, "low", {"enable_thinking": True}),
        ({"enable_thinking"}, None, "none", {"enable_thinking": False}),
        ({"enable_thinking", "thinking"}, None, None, {}),
        ({"thinking"}, True, None, {"thinking": True}),
        ({"skip_thinking"}, True, None, {"skip_thinking": False}),
        ({"thinking_budget"}, False, None, {"thinking_budget": 0}),
        ({"thinking_budget"}, True, None, {}),
        ({"reasoning_effort"}, None, "high", {"reasoning_effort": "high"}),
        ({"reasoning_effort"}, None, "minimal", {"reasoning_effort": "low"}),
        ({"reasoning_effort"}, False, None, {"reasoning_effort": "low"}),
        ({"reasoning_effort"}, None, "xhigh", {"reasoning_effort": "high"}),
        ({"reasoning_effort"}, None, "its own word", {"reasoning_effort": "its own word"}),
        (set(), True, "high", {}),
    ],
)
def test_thinking_is_asked_for_in_the_template_s_own_names(
    names: set[str], is_wanted: bool | None, effort: str | None, variables: dict[str, object]
) -> None:
    assert to_thinking_variables("", frozenset(names), is_wanted=is_wanted, effort=effort) == variables


def test_an_effort_becomes_the_word_that_the_template_has_for_it() -> None:
    source = "{% if reasoning_effort not in ['no_think', 'low', 'high', 'max'] %}"
    names = frozenset({"reasoning_effort"})
    said = [
        to_thinking_variables(source, names, effort=effort)["reasoning_effort"]
        for effort in ("none", "low", "medium", "high", "xhigh")
    ]
    assert said == ["no_think", "low", "high", "high", "max"]
