"""Samples of datasets as the trainer takes them: exactly as the base model's chat template writes them. Pure.

The frame of a single turn is rendered once with stand-ins for its two texts: a dataset has up to 100,000 rows, and a
template takes a millisecond. Where stand-ins do not come out as they went in, every sample is rendered by itself.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from puna.domain.chat import Message, Role
from puna.domain.datasets import Completion, Conversation, Labelled, PlainText, Sample
from puna.domain.training import TextPart, TextSample

if TYPE_CHECKING:
    from puna.prompting.chat_template import ChatFormatter

LABEL_SEPARATOR = ", "
_QUESTION, _ANSWER = "quaestio7301", "responsum7302"
_BLANKED = f"\t{_QUESTION}\t"
"""Templates write blanks of their own, but hardly tabs."""
_SUSPECT = re.compile(r"[<\[|>\]]")
"""What names of control tokens are written with: a text that has any is tokenised apart from the template's."""


class Frame(Struct, frozen=True):
    """What a template writes around the texts of a single turn."""

    head: str
    middle: str
    """Between the user's text and where the model begins to write."""
    lead: str
    """What the model writes before its answer, such as an empty thought."""
    end: str
    """What ends its turn; empty where that is the end of the text."""
    keeps_blanks: bool
    """Whether blanks around the user's text stay."""


class Renderer:
    """For one base model; may be used in threads, one at a time."""

    def __init__(self, formatter: "ChatFormatter", eos: str) -> None:
        """`eos` is the name of the end-of-text token, empty where there is none."""
        self._formatter = formatter
        self._eos = eos
        self._frame = self._find_frame()

    def render(self, sample: Sample) -> TextSample:
        """Return a sample for training. Raises `PunaError` where the model's template refuses it."""
        match sample:
            case PlainText(text):
                return TextSample((TextPart(text, is_answer=True),))
            case Labelled(text):
                return self.render_turn(text, answer_of(sample))
            case Completion(prompt, completion):
                return self.render_turn(prompt, completion)
            case Conversation(messages):
                return self._render_conversation(messages)

    def render_turn(self, question: str, answer: str) -> TextSample:
        """Return one turn of a user and the assistant's answer to it."""
        frame = self._frame
        if frame is None:
            return self._render_conversation((Message(Role.USER, question), Message(Role.ASSISTANT, answer)))
        asked = question if frame.keeps_blanks else question.strip()
        parts = [*_around(frame.head, asked, frame.middle), *_lead(frame.lead)]
        parts += [TextPart(answer.strip(), is_answer=True), *self._ending(frame.end)]
        return self._finish(parts, frame.end)

    def _find_frame(self) -> Frame | None:
        asked = (Message(Role.USER, _BLANKED),)
        prompt = self._formatter.render(asked)
        whole = self._formatter.render(
            (*asked, Message(Role.ASSISTANT, _ANSWER)), add_generation_prompt=False
        )
        if prompt.count(_QUESTION) != 1 or whole.count(_ANSWER) != 1:
            return None
        keeps_blanks = _BLANKED in prompt
        head, middle = prompt.split(_BLANKED if keeps_blanks else _QUESTION)
        before, end = whole.split(_ANSWER)
        if before.startswith(prompt):
            lead = before[len(prompt) :]
        elif before.rstrip() == prompt.rstrip():
            lead = ""
        else:
            return None
        return Frame(head, middle, lead, end.strip(), keeps_blanks)

    def _ending(self, end: str) -> Iterator[TextPart]:
        if end and end != self._eos:
            yield TextPart(end, is_answer=True, has_control=True)

    def _finish(self, parts: Sequence[TextPart], end: str) -> TextSample:
        is_ended = not end or end == self._eos
        written = tuple(part for part in parts if part.text)
        is_opened = not self._formatter.starts_with_bos(written[0].text if written else "")
        return TextSample(written, is_opened=is_opened, is_ended=is_ended)

    def _render_conversation(self, messages: Sequence[Message]) -> TextSample:
        """Learn each turn of the assistant where the template writes it as it does later, at least the last one."""
        spoken = [
            i for i, each in enumerate(messages) if each.role is Role.ASSISTANT and each.content.strip()
        ]
        if not spoken:
            return TextSample(())  # the trainer counts it among those without an answer
        last = spoken[-1]
        told = messages[: last + 1]
        whole = self._formatter.render(told, add_generation_prompt=False).rstrip()
        prompt = self._formatter.render(told[:-1]) if last else ""
        content = told[-1].content.strip()
        end = whole.rpartition(content)[2].strip()
        is_part = whole.startswith(prompt)
        parts = list(self._split_prompt(prompt, whole if is_part else "", told))
        answer = whole[len(prompt) :] if is_part else content + end
        answer = answer.removesuffix(self._eos) if end == self._eos else answer
        parts += [replace(part, is_answer=True) for part in _split(answer, told)]
        return self._finish(parts, end)

    def _split_prompt(self, prompt: str, whole: str, told: Sequence[Message]) -> Iterator[TextPart]:
        """Yield what comes before the last answer, with the earlier ones to be learnt too."""
        done = 0
        for first, after in self._find_turns(told[:-1], whole):
            yield from _split(prompt[done:first], told)
            yield from (replace(part, is_answer=True) for part in _split(prompt[first:after], told))
            done = after
        yield from _split(prompt[done:], told)

    def _find_turns(self, told: Sequence[Message], whole: str) -> Iterator[tuple[int, int]]:
        """Yield where earlier turns of the assistant stand, with what ends them."""
        for index, message in enumerate(told):
            if message.role is not Role.ASSISTANT or not index:
                continue
            before = self._formatter.render(told[:index])
            after = self._formatter.render(told[: index + 1], add_generation_prompt=False)
            if whole.startswith(before) and whole.startswith(after.rstrip()) and len(after) > len(before):
                yield len(before), len(after.rstrip())


def answer_of(sample: Labelled) -> str:
    """Return what a model shall write for a text with these labels: in one order, as it has no way to know another."""
    return LABEL_SEPARATOR.join(sorted(sample.labels))


def _lead(lead: str) -> Iterator[TextPart]:
    if lead:
        yield TextPart(lead, is_answer=True, has_control=True)


def _around(head: str, text: str, middle: str) -> list[TextPart]:
    """Return a prompt; in one piece, as serving tokenises it, where nothing in it can be a control token."""
    if _SUSPECT.search(text) is None:
        return [TextPart(head + text + middle, has_control=True)]
    return [TextPart(head, has_control=True), TextPart(text), TextPart(middle, has_control=True)]


def _split(text: str, messages: Sequence[Message]) -> list[TextPart]:
    """Return a piece of a rendered conversation with the texts of people apart from the template's."""
    suspects = sorted(
        {m.content.strip() for m in messages if _SUSPECT.search(m.content)}, key=len, reverse=True
    )
    if not suspects:
        return [TextPart(text, has_control=True)] if text else []
    pieces = re.split(f"({'|'.join(map(re.escape, suspects))})", text)
    return [TextPart(piece, has_control=i % 2 == 0) for i, piece in enumerate(pieces) if piece]
