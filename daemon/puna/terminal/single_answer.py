"""One question, one answer: for scripts, pipes and `puna run MODEL PROMPT`."""

import sys
from collections.abc import Callable
from typing import TextIO

from puna.errors import InvalidRequestError, PunaError
from puna.terminal.answer_view import AnswerView
from puna.terminal.answering import Answer, Events, figures, receive
from puna.terminal.options import ChatOptions

_BYTE_ORDER_MARK = "\ufeff"
_LARGEST_INPUT = 64 * 1024 * 1024
"""Characters that are taken from standard input."""


def read_prompt(words: list[str], stdin: TextIO) -> str:
    """Return the question: what is on the command line, and below it what is piped in.

    Raises `InvalidRequestError` where there is neither.
    """
    typed = " ".join(words)
    piped = "" if stdin.isatty() else stdin.read(_LARGEST_INPUT + 1).removeprefix(_BYTE_ORDER_MARK)
    if len(piped) > _LARGEST_INPUT:
        raise InvalidRequestError(f"Standard input is longer than {_LARGEST_INPUT} characters.")
    prompt = "\n\n".join(part for part in (typed, piped.removesuffix("\n")) if part.strip())
    if not prompt:
        raise InvalidRequestError("There is nothing to ask: give a prompt after the model, or pipe one in.")
    return prompt


def answer_once(
    events: Events, view: AnswerView, options: ChatOptions, waiting_for: Callable[[], str] = lambda: ""
) -> Answer:
    """Show one answer, with what is worth knowing about it on standard error. Raises `PunaError`."""
    answer = receive(events, view, waiting_for=waiting_for)
    if answer.end == "length":
        print("puna: The answer was cut: max_tokens or the model's context is used up.", file=sys.stderr)
    if options.figures and figures(answer):
        print(f"puna: {figures(answer)}", file=sys.stderr)
    if not answer.text and answer.end != "length":
        raise PunaError("The answer is empty.")
    return answer
