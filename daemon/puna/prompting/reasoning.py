"""Tells what a model thinks from what it says."""

from dataclasses import dataclass

from puna.domain.generation import ReasoningDelta
from puna.prompting.landmarks import Landmarks
from puna.prompting.markers import find_markers
from puna.prompting.output import Reading
from puna.prompting.reader import BLANK, HeldBlank, TextReader, convert


@dataclass(frozen=True)
class ReasoningTags:
    """What stands around the reasoning of one family of models, at the beginning of its text."""

    open: str
    close: str
    content_open: str = ""
    """What may stand around the content behind it; it is left out."""
    content_close: str = ""

    @property
    def markers(self) -> frozenset[str]:
        """The texts that can be special tokens of a vocabulary, and must reach the parser."""
        return find_markers((self.open, self.close, self.content_open, self.content_close))

    def is_open(self, prompt: str) -> bool:
        """Return whether the prompt ends within reasoning, so that the model's text begins there."""
        return prompt.rstrip(BLANK).endswith(self.open.rstrip(BLANK))


THINK = ReasoningTags("<think>", "</think>")
_GRANITE = ReasoningTags("<think>", "</think>", "<response>", "</response>")
_KNOWN = (
    ReasoningTags("<seed:think>", "</seed:think>"),
    ReasoningTags("[THINK]", "[/THINK]"),
    ReasoningTags("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ReasoningTags("<|channel>thought\n", "<channel|>"),
    ReasoningTags("<reasoning>", "</reasoning>"),
    ReasoningTags("<thinking>", "</thinking>"),
    ReasoningTags("Here is my thought process:", "Here is my response:"),
)


def choose_reasoning_tags(source: str | None) -> ReasoningTags | None:
    """Return the tags that a model's template knows; None where it knows none."""
    source = source or ""
    if THINK.close in source:
        return _GRANITE if "<response>" in source else THINK
    return next((tags for tags in _KNOWN if tags.close in source), None)


def read_reasoning(reader: TextReader, tags: ReasoningTags, *, is_open: bool) -> Reading[str]:
    """Read the reasoning at the beginning of a text, if there is some.

    White space at its borders is left out. Without the closing tag all text is reasoning. Returns the white
    space that was read where no reasoning comes.
    """
    blank = yield from reader.take_blank()
    if not (yield from reader.accept(tags.open)) and not is_open:
        return blank
    yield from reader.take_blank()
    held = HeldBlank()

    def to_event(chunk: str) -> ReasoningDelta | None:
        text = held.push(chunk)
        return ReasoningDelta(text) if text else None

    if not (yield from convert(reader.until(Landmarks([tags.close])), to_event)):
        yield ReasoningDelta(held.flush())
        return ""
    reader.skip(len(tags.close))
    yield from reader.take_blank()
    return ""
