"""The Jinja environment of chat templates: transformers' dialect, with a guard at every operation."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from types import BuiltinMethodType
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Joiner, Namespace

from puna.prompting.sandbox import operations, rewrite
from puna.prompting.sandbox.budget import TemplateLimitError, current_budget
from puna.prompting.sandbox.filters import safe_filters, safe_tests

MAX_REFUSAL_CHARACTERS = 10_000


class TemplateRefusalError(Exception):
    """The template called `raise_exception`; the text is what it said."""


class _QuietNamespace(Namespace):
    """A namespace whose text does not spell out its contents, which can be without end."""

    def __repr__(self) -> str:
        return "<Namespace>"


class _GenerationTag(Extension):
    """`{% generation %}`, with which transformers marks the assistant's text for training: passed through."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> list[Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@cache
def template_environment() -> "TemplateEnvironment":
    """Return the one environment; it keeps no state of a rendering."""
    return TemplateEnvironment()


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Renders under the current budget. The options are those of transformers' `apply_chat_template`."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_GenerationTag, loopcontrols],
            optimized=False,  # constant folding would run filters while compiling, outside of any budget
            finalize=_finalize,
        )
        self.filters = safe_filters() | {
            rewrite.TICK: _tick,
            rewrite.ITERATE: _check_iterable,
            rewrite.COMPARABLE: _check_comparable,
            rewrite.CONCAT: _concat,
            rewrite.SLICE: _slice,
            rewrite.KEY: _check_key,
        }
        self.tests = safe_tests()
        self.globals = {
            "range": self.globals["range"],
            "dict": dict,
            "namespace": _QuietNamespace,
            "joiner": Joiner,
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
        }

    def concat(self, parts: Iterable[str]) -> str:
        """Join the output of a macro or block."""
        pieces = list(parts)
        budget = current_budget()
        budget.require_text(sum(map(len, pieces)))
        return str(budget.check("".join(pieces)))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate under a guard."""
        budget = current_budget()
        operations.guard_operator(budget, operator, left, right)
        return budget.check(super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow the listed attributes of plain values, and Jinja's own rule for Jinja's own objects."""
        for known, names in operations.SAFE_ATTRIBUTES.items():
            if isinstance(obj, known):
                return attr in names
        return _is_of_jinja(obj) and super().is_safe_attribute(obj, attr, value)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up an item; keys are plain, because hashing nested tuples can take forever."""
        return super().getitem(obj, _check_key(argument))

    def wrap_str_format(self, value: Any) -> Any:
        """Return Jinja's replacement of `str.format`, under a guard."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        pattern = str(value.__self__)
        if value.__name__ != "format":
            raise TemplateLimitError(f"uses str.{value.__name__}, which is not allowed")

        def format_guarded(*args: Any, **kwargs: Any) -> str:
            operations.guard_format(current_budget(), pattern, args, kwargs)
            return wrapped(*args, **kwargs)

        return format_guarded

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function, macro or method under a guard."""
        budget = current_budget()
        plain = {
            key: value for key, value in kwargs.items() if key not in ("_loop_vars", "_block_vars", "caller")
        }
        if isinstance(obj, BuiltinMethodType):
            operations.guard_method(budget, obj.__self__, obj.__name__, args, plain)
        elif obj is dict:
            budget.weigh([*args, *plain.values()])
        return budget.check(super().call(context, obj, *args, **kwargs))


def _is_of_jinja(value: object) -> bool:
    return type(value).__module__.startswith("jinja2.") or isinstance(value, Namespace)


@pass_context
def _finalize(context: Context, value: object) -> object:
    """Measure what is printed. Takes the context so that Jinja does not call it while compiling."""
    del context
    budget = current_budget()
    if isinstance(value, str):
        budget.spend()
    else:
        budget.weigh(value)
    return value


def _tick(value: object) -> object:
    current_budget().spend()
    return value


def _check_iterable(value: Any) -> Any:
    budget = current_budget()
    if isinstance(value, str | list | tuple | dict):
        budget.require_items(len(value))
    budget.spend()
    return value


def _check_comparable(value: object) -> object:
    budget = current_budget()
    if isinstance(value, list | tuple | dict):
        budget.weigh(value)
    else:
        budget.spend(len(value) // 16 if isinstance(value, str) else 0)
    return value


def _concat(values: list[object]) -> str:
    budget = current_budget()
    budget.require_text(budget.weigh(values))
    return "".join(map(str, values))


def _slice(value: Any, start: object, stop: object, step: object) -> Any:
    budget = current_budget()
    budget.spend()
    return budget.check(value[slice(start, stop, step)])


def _check_key(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | Undefined):
        return value
    raise TemplateLimitError(f"uses a {type(value).__name__} as a key")


def _raise_exception(message: object) -> None:
    budget = current_budget()
    budget.weigh(message)
    raise TemplateRefusalError(str(message)[:MAX_REFUSAL_CHARACTERS])


def _strftime_now(pattern: object) -> str:
    text = str(pattern)
    operations.guard_time_format(text)
    return datetime.now().strftime(text)
