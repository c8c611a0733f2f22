"""Samples as the trainer gets them: the prompt is what serving renders, the answer what the model shall write."""

from collections.abc import Iterable
from random import Random

import pytest

from fakes.finetuning import DEMO
from puna.domain.chat import Message, Role
from puna.domain.datasets import Completion, Conversation, Labelled, PlainText
from puna.domain.training import TextPart, TextSample
from puna.errors import PunaError
from puna.finetune.base_tokens import read_token_names
from puna.finetune.rendering import Renderer
from puna.models.header import read_model_header
from puna.prompting.chat_template import ChatFormatter, choose_formatter

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA2 = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content | trim }} "
    "[/INST]{% else %} {{ message.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)
THOUGHTS = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "llama 2": LLAMA2, "thoughts": THOUGHTS, "none": None}
FORMATTERS = {name: choose_formatter(source, "<s>", "</s>") for name, source in TEMPLATES.items()}

each_template = pytest.mark.parametrize("formatter", FORMATTERS.values(), ids=FORMATTERS)


def user(text: str) -> Message:
    return Message(Role.USER, text)


def assistant(text: str) -> Message:
    return Message(Role.ASSISTANT, text)


def text_of(parts: Iterable[TextPart], *, is_answer: bool | None = None) -> str:
    return "".join(part.text for part in parts if is_answer in {None, part.is_answer})


def prompt_of(sample: TextSample) -> str:
    """Return what is read before the first answer."""
    first = next(i for i, part in enumerate(sample.parts) if part.is_answer)
    return text_of(sample.parts[:first])


@each_template
@pytest.mark.parametrize("text", ["Hello there", "  blanks around  ", "<b>1 < 2</b>", "an <|im_end|> inside"])
def test_a_prompt_is_what_serving_renders(formatter: ChatFormatter, text: str) -> None:
    sample = Renderer(formatter, "</s>").render(Labelled(text, ("red",)))
    prompt = formatter.render([user(text)])
    assert prompt_of(sample) == prompt
    assert sample.is_opened is not formatter.starts_with_bos(prompt)
    whole = formatter.render([user(text), assistant("red")], add_generation_prompt=False).rstrip()
    assert text_of(sample.parts) + ("</s>" if sample.is_ended else "") in {whole, whole + "</s>"}


@each_template
def test_control_tokens_in_texts_of_people_stay_text(formatter: ChatFormatter) -> None:
    sample = Renderer(formatter, "</s>").render(Labelled("now <|im_end|> and [INST]", ("red",)))
    (part,) = [part for part in sample.parts if "now" in part.text]
    assert part == TextPart("now <|im_end|> and [INST]")


@pytest.mark.parametrize(
    ("name", "answer", "is_ended"),
    [
        ("chatml", "blue, red<|im_end|>", False),
        ("llama 2", "blue, red", True),
        ("thoughts", "<think>\n\n</think>\n\nblue, red<|im_end|>", False),
        ("none", "blue, red", True),
    ],
)
def test_an_answer_ends_as_the_model_must_end_it(name: str, answer: str, is_ended: bool) -> None:
    sample = Renderer(FORMATTERS[name], "</s>").render(Labelled("text", ("red", "blue")))
    assert text_of(sample.parts, is_answer=True).strip() == answer
    assert sample.is_ended is is_ended


@each_template
def test_each_turn_of_an_assistant_is_learnt(formatter: ChatFormatter) -> None:
    told = (user("one"), assistant("two"), user("three"), assistant("four"), user("five"))
    sample = Renderer(formatter, "</s>").render(Conversation(told))
    learnt = text_of(sample.parts, is_answer=True)
    read = text_of(sample.parts, is_answer=False)
    assert "four" in learnt
    assert "two" in learnt or formatter is FORMATTERS["thoughts"], "there earlier turns look different"
    assert not any(word in learnt for word in ("one", "three", "five"))
    assert "one" in read
    assert "three" in read
    assert "five" not in text_of(sample.parts), "nothing is learnt behind the last answer"
    whole = formatter.render(told[:4], add_generation_prompt=False).rstrip()
    if formatter is not FORMATTERS["thoughts"]:
        assert text_of(sample.parts) + ("</s>" if sample.is_ended else "") in {whole, whole + "</s>"}


def test_a_single_turn_is_the_same_as_a_conversation_of_one() -> None:
    for formatter in FORMATTERS.values():
        renderer = Renderer(formatter, "</s>")
        turn = renderer.render(Completion("ask", "answer"))
        conversation = renderer.render(Conversation((user("ask"), assistant("answer"))))
        assert text_of(turn.parts) == text_of(conversation.parts) or formatter is FORMATTERS["thoughts"]
        assert turn.is_ended == conversation.is_ended


def test_a_system_message_is_only_read() -> None:
    told = (Message(Role.SYSTEM, "Be kind."), user("ask"), assistant("answer"))
    for formatter in FORMATTERS.values():
        sample = Renderer(formatter, "</s>").render(Conversation(told))
        assert "Be kind." in text_of(sample.parts, is_answer=False)


def test_a_plain_text_is_learnt_as_it_is() -> None:
    sample = Renderer(FORMATTERS["chatml"], "</s>").render(PlainText(" Once <s> upon"))
    assert sample == TextSample((TextPart(" Once <s> upon", is_answer=True),))


def test_a_template_that_cannot_be_used_is_told() -> None:
    with pytest.raises(PunaError, match="chat template"):
        Renderer(choose_formatter("{% for %}", "", ""), "")


def test_names_of_tokens_are_read_from_the_file() -> None:
    bos, eos = read_token_names(DEMO)
    assert (bos, eos) != ("", "")
    header = read_model_header(DEMO)
    renderer = Renderer(choose_formatter(header.chat_template, bos, eos), eos)
    sample = renderer.render(Labelled("A nice day.", ("blue",)))
    assert "A nice day." in prompt_of(sample)


def test_many_rows_cost_no_rendering_of_the_template() -> None:
    renders = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            if name == "render":
                renders.append(name)
            return getattr(FORMATTERS["chatml"], name)

    renderer = Renderer(Counting(), "</s>")  # type: ignore[arg-type]
    before = len(renders)
    rng = Random(1)
    for _ in range(100):
        renderer.render(Labelled(f"text {rng.random()}", ("red",)))
    assert len(renders) == before
