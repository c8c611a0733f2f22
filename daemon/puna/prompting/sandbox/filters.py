"""The filters and tests that templates may use, each behind a guard."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from jinja2.filters import FILTERS
from jinja2.tests import TESTS
from markupsafe import escape

from puna.prompting.sandbox import operations
from puna.prompting.sandbox.budget import Budget, TemplateLimitError, current_budget

_MAX_JSON_INDENT = 16


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BY_ITEM = _words("""
    attr batch count d default first items last length list map reject rejectattr reverse select selectattr
    slice
""")
"""Filters that look at a list's items one by one, or not at all."""

_WHOLE = _words("""
    abs capitalize center dictsort float format groupby indent int join lower max min replace round sort
    string sum title trim truncate unique upper
""")
"""Filters that read all that a value contains."""

_PER_CHARACTER = _words("""
    batch dictsort groupby join list map max min reject rejectattr select selectattr slice sort sum title
    unique
""")
"""Filters that take a text apart into its characters or words."""

_COUNTING = _words("batch center indent slice truncate")
"""Filters whose numbers are widths or counts."""

_LIGHT_TESTS = _words("""
    boolean callable defined even false filter float integer iterable mapping none number odd sameas sequence
    string test true undefined
""")


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return JSON as transformers' own filter does: without the HTML escapes of Jinja's."""
    if isinstance(indent, str) or (indent or 0) > _MAX_JSON_INDENT:
        raise TemplateLimitError("indents JSON too far")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _escape(value: object) -> str:
    """Return the text with HTML's special characters escaped, as plain text."""
    return str(escape(str(value)))


def _keep(value: object) -> object:
    """Return the value: there is no HTML that could be unsafe here."""
    return value


_Filter = Callable[..., Any]


def safe_filters() -> dict[str, _Filter]:
    """Return the filters by name."""
    filters = {name: _guard_light(name, FILTERS[name]) for name in _BY_ITEM}
    filters |= {name: _guard_whole(name, FILTERS[name]) for name in _WHOLE}
    filters["tojson"] = _guard_whole("tojson", _to_json)
    filters["e"] = filters["escape"] = _guard_whole("escape", _escape)
    filters["safe"] = _guard_light("safe", _keep)
    return filters


def safe_tests() -> dict[str, Any]:
    """Return the tests by name."""
    tests: Mapping[str, Any] = TESTS
    return {
        name: test if name in _LIGHT_TESTS else _guard_whole(name, test)
        for name, test in tests.items()
        if name != "escaped"
    }


def _guard_light(name: str, function: _Filter) -> _Filter:
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        budget = current_budget()
        _guard_numbers(budget, name, args[skipped], args[skipped + 1 :], kwargs)
        return budget.check(_gather(budget, function(*args, **kwargs)))

    return guarded


def _guard_whole(name: str, function: _Filter) -> _Filter:
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        budget = current_budget()
        value, rest = args[skipped], args[skipped + 1 :]
        _guard_numbers(budget, name, value, rest, kwargs)
        budget.weigh([value, *rest, *kwargs.values()])
        if name in _GUARDS:
            _GUARDS[name](budget, value, rest, kwargs)
        return budget.check(_gather(budget, function(*args, **kwargs)))

    return guarded


def _guard_numbers(
    budget: Budget, name: str, value: object, rest: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    if name in _COUNTING:
        operations.guard_counts(rest, kwargs)
    if name in _PER_CHARACTER and isinstance(value, str):
        budget.require_items(len(value))


def _gather(budget: Budget, value: object) -> object:
    """Return the items of a filter's lazy result as a list.

    Only lists can be measured, and iterators nested in each other by the thousand would overflow the C stack.
    """
    if not isinstance(value, Iterator):
        return value
    items = []
    for item in value:
        items.append(item)
        budget.require_items(len(items))
    return items


def _argument(rest: Sequence[object], kwargs: Mapping[str, object], index: int, name: str) -> object:
    return rest[index] if index < len(rest) else kwargs.get(name)


_Guard = Callable[[Budget, object, Sequence[object], Mapping[str, object]], None]


def _guard_join(budget: Budget, value: object, rest: Sequence[object], kwargs: Mapping[str, object]) -> None:
    items = value if isinstance(value, list | tuple | str | dict) else []
    operations.guard_join(budget, _argument(rest, kwargs, 0, "d"), list(items))


def _guard_replace(
    budget: Budget, value: object, rest: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    old, new = _argument(rest, kwargs, 0, "old"), _argument(rest, kwargs, 1, "new")
    operations.guard_replace(budget, str(value), str(old), str(new))


def _guard_format(
    budget: Budget, value: object, rest: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    operations.guard_percent(budget, str(value), tuple(rest) or dict(kwargs))


def _guard_indent(
    budget: Budget, value: object, rest: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    width = _argument(rest, kwargs, 0, "width")
    size = len(width) if isinstance(width, str) else width if isinstance(width, int) else 4
    text = str(value)
    lines = operations.count_blanks(text)
    budget.require_items(lines)
    budget.require_text(len(text) + size * (lines + 1))


def _guard_sum(budget: Budget, value: object, rest: Sequence[object], kwargs: Mapping[str, object]) -> None:
    del budget, value
    start = _argument(rest, kwargs, 1, "start")
    if start is not None and not isinstance(start, int | float):
        raise TemplateLimitError("sums up what are no numbers")


def _guard_round(budget: Budget, value: object, rest: Sequence[object], kwargs: Mapping[str, object]) -> None:
    del budget, value
    precision = _argument(rest, kwargs, 0, "precision")
    if isinstance(precision, int) and abs(precision) > 300:
        raise TemplateLimitError("rounds to too many digits")


def _guard_trim(budget: Budget, value: object, rest: Sequence[object], kwargs: Mapping[str, object]) -> None:
    del budget
    operations.guard_search(str(value), _argument(rest, kwargs, 0, "chars"))


_GUARDS: Mapping[str, _Guard] = {
    "join": _guard_join,
    "replace": _guard_replace,
    "format": _guard_format,
    "indent": _guard_indent,
    "sum": _guard_sum,
    "round": _guard_round,
    "trim": _guard_trim,
}
