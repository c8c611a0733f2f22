"""Compiles a template once, and runs it within a budget."""

from collections.abc import Mapping

import jinja2

from puna.prompting.sandbox.budget import Budget, TemplateLimitError, within
from puna.prompting.sandbox.environment import TemplateRefusalError, template_environment
from puna.prompting.sandbox.rewrite import TemplateShapeError, rewrite

MAX_SOURCE_CHARACTERS = 256 * 1024
"""The longest chat templates in use have a tenth of it."""
MAX_REASON_CHARACTERS = 300


class TemplateFailedError(Exception):
    """The template cannot be compiled or run; the text is one line that ends "the chat template …"."""


class TemplateProgram:
    """A compiled template.

    `names` are all names that it uses, those of variables among them.
    """

    def __init__(self, source: str) -> None:
        """Compile the template. Raises `TemplateFailedError`."""
        if len(source) > MAX_SOURCE_CHARACTERS:
            raise TemplateFailedError(f"is longer than {MAX_SOURCE_CHARACTERS:,} characters")
        try:
            self._template, self.names = _compile(source)
        except TemplateShapeError as error:
            raise TemplateFailedError(str(error)) from None
        except Exception as error:  # noqa: BLE001 - a broken template can fail anywhere in Jinja and Python's compiler
            raise TemplateFailedError(f"cannot be compiled: {describe(error)}") from None

    def run(self, variables: Mapping[str, object], budget: Budget) -> str:
        """Return the output for these variables.

        Raises `TemplateRefusalError` when the template calls `raise_exception`, `TemplateFailedError` when it
        breaks or exceeds the budget.
        """
        try:
            with within(budget):
                return self._run(variables, budget)
        except TemplateRefusalError:
            raise
        except TemplateLimitError as error:
            raise TemplateFailedError(str(error)) from None
        except Exception as error:  # noqa: BLE001 - a template can raise anything
            raise TemplateFailedError(f"failed: {describe(error)}") from None

    def _run(self, variables: Mapping[str, object], budget: Budget) -> str:
        pieces: list[str] = []
        length = 0
        for piece in self._template.root_render_func(self._template.new_context(dict(variables))):
            length += len(piece)
            budget.require_text(length)
            pieces.append(piece)
        return "".join(pieces)


def _compile(source: str) -> tuple[jinja2.Template, frozenset[str]]:
    environment = template_environment()
    tree = rewrite(environment.parse(source))
    names = frozenset(node.name for node in tree.find_all(jinja2.nodes.Name))
    template = jinja2.Template.from_code(
        environment, environment.compile(tree), environment.make_globals(None)
    )
    return template, names


def describe(error: Exception) -> str:
    """Return what happened as one line of bounded length, without a path."""
    if isinstance(error, RecursionError):
        return "it is too deeply nested"
    if isinstance(error, MemoryError):
        return "it needs too much memory"
    text = error.message if isinstance(error, jinja2.TemplateError) else str(error)
    line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
    return one_line((text or type(error).__name__).rstrip(".") + line)


def one_line(text: str) -> str:
    """Return text as one printable line of bounded length."""
    line = " ".join(text[: 4 * MAX_REASON_CHARACTERS].split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= MAX_REASON_CHARACTERS else line[: MAX_REASON_CHARACTERS - 1] + "…"
