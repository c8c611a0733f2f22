"""Guards in front of operators, text methods and formatting: each refuses a result before it is made."""

import re
from collections.abc import Callable, Mapping, Sequence
from string import Formatter

from puna.prompting.sandbox.budget import MAX_COUNT, MAX_INT_BITS, Budget, TemplateLimitError

_PERCENT_SPEC = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+)?)?")
_NUMBER = re.compile(r"\d+")
_MAX_COMPARISONS = 200_000_000
"""Of characters in one search; takes some 0.1 s."""
_BLANKS = tuple(chr(code) for code in range(0x3001) if chr(code).isspace())


def guard_operator(budget: Budget, operator: str, left: object, right: object) -> None:
    """Refuse an operation whose result would be too large."""
    match operator:
        case "*":
            _guard_product(budget, left, right)
        case "**":
            _guard_power(left, right)
        case "+":
            _guard_sum(budget, left, right)
        case "%" if isinstance(left, str):
            guard_percent(budget, left, right)


def _guard_product(budget: Budget, left: object, right: object) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _require_bits(left.bit_length() + right.bit_length())
    for repeated, times in ((left, right), (right, left)):
        if not isinstance(times, int):
            continue
        if isinstance(repeated, str):
            budget.require_text(len(repeated) * times)
        elif isinstance(repeated, list | tuple):
            budget.require_items(len(repeated) * times)


def _guard_power(left: object, right: object) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _require_bits(left.bit_length() * max(right, 1))


def _guard_sum(budget: Budget, left: object, right: object) -> None:
    if isinstance(left, str) and isinstance(right, str):
        budget.require_text(len(left) + len(right))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        budget.require_items(len(left) + len(right))


def _require_bits(bits: int) -> None:
    if bits > MAX_INT_BITS:
        raise TemplateLimitError("makes a number that is too large")


def guard_percent(budget: Budget, pattern: str, operand: object) -> None:
    """Refuse `pattern % operand` when its widths or repeated operands would make a long text."""
    specs = _PERCENT_SPEC.findall(pattern)
    if any("*" in spec for spec in specs):
        raise TemplateLimitError("formats a text with a width that is not a number")
    widths = sum(_to_width(number) for spec in specs for number in spec if number)
    budget.require_text(len(pattern) + widths + len(specs) * budget.weigh(operand))


def guard_format(budget: Budget, pattern: str, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    """Refuse `pattern.format(...)` when its widths or repeated operands would make a long text."""
    operands = budget.weigh(list(args)) + budget.weigh(dict(kwargs))
    length = len(pattern)
    for _, field, spec, _ in Formatter().parse(pattern):
        if field is None:
            continue
        if spec and "{" in spec:
            raise TemplateLimitError("formats a text with a width that is not a number")
        length += operands + sum(_to_width(number) for number in _NUMBER.findall(spec or ""))
    budget.require_text(length)


def guard_time_format(pattern: str) -> None:
    """Refuse widths in a pattern for `strftime`, which some C libraries fill with any number of blanks."""
    if re.search(r"%[^%a-zA-Z]*\d", pattern) or len(pattern) > 1_000:
        raise TemplateLimitError("formats the time with a width")


def _to_width(number: str) -> int:
    if len(number) > len(str(MAX_COUNT)):
        raise TemplateLimitError("formats a text with too large a width")
    return int(number)


def guard_counts(args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    """Refuse large numbers as arguments: widths, counts and digits all cost what they say."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > MAX_COUNT:
            raise TemplateLimitError(f"uses a number above {MAX_COUNT:,} as a width or count")


def guard_replace(budget: Budget, text: str, old: object, new: object) -> None:
    """Refuse a replacement whose result would be too long."""
    if isinstance(old, str) and isinstance(new, str):
        times = text.count(old) if old else len(text) + 1
        budget.require_text(len(text) + times * len(new))


def guard_split(budget: Budget, text: str, separator: object) -> None:
    """Refuse to split a text into too many parts."""
    if isinstance(separator, str) and separator:
        budget.require_items(text.count(separator))
    else:
        budget.require_items(count_blanks(text))


def guard_search(text: str, sought: object) -> None:
    """Refuse what takes as many comparisons as the product of two lengths: searches from the end, and stripping."""
    if isinstance(sought, str) and len(text) * len(sought) > _MAX_COMPARISONS:
        raise TemplateLimitError("searches for a text that is too long")


def count_blanks(text: str) -> int:
    """Return how many characters a text can be split at; for short ones its length, which is quicker."""
    return len(text) if len(text) <= MAX_COUNT else sum(text.count(blank) for blank in _BLANKS)


def guard_join(budget: Budget, separator: object, items: Sequence[object]) -> None:
    """Refuse to join a list to a text that would be too long."""
    between = len(separator) if isinstance(separator, str) else 0
    budget.require_text(budget.weigh(list(items)) + between * len(items))


def _guard_split_method(budget: Budget, text: str, args: Sequence[object]) -> None:
    guard_split(budget, text, args[0] if args else None)


def _guard_join_method(budget: Budget, text: str, args: Sequence[object]) -> None:
    for items in args[:1]:
        guard_join(budget, text, list(items) if isinstance(items, list | tuple | dict) else [])


def _guard_replace_method(budget: Budget, text: str, args: Sequence[object]) -> None:
    guard_replace(budget, text, *(args[:2] if len(args) > 1 else (None, None)))


def _guard_search_method(budget: Budget, text: str, args: Sequence[object]) -> None:
    del budget
    for sought in args[:1]:
        guard_search(text, sought)


def _guard_split_from_the_end(budget: Budget, text: str, args: Sequence[object]) -> None:
    _guard_search_method(budget, text, args)
    _guard_split_method(budget, text, args)


_TEXT_METHOD_GUARDS: Mapping[str, Callable[[Budget, str, Sequence[object]], None]] = {
    "join": _guard_join_method,
    "replace": _guard_replace_method,
    "rsplit": _guard_split_from_the_end,
    "split": _guard_split_method,
    "splitlines": _guard_split_method,
    **dict.fromkeys(("lstrip", "rfind", "rindex", "rpartition", "rstrip", "strip"), _guard_search_method),
}

_TEXT_ATTRIBUTES = """
    capitalize casefold center count endswith find format index isalnum isalpha isascii isdecimal isdigit
    islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix
    replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper
    zfill
"""

SAFE_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    str: frozenset(_TEXT_ATTRIBUTES.split()),
    dict: frozenset({"copy", "get", "items", "keys", "values"}),
    list: frozenset({"copy", "count", "index"}),
    tuple: frozenset({"count", "grouper", "index", "list"}),
}
"""What templates may use of plain values; `grouper` and `list` belong to the filter `groupby`."""


def guard_method(
    budget: Budget, subject: object, name: str, args: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    """Refuse the call of a method of a plain value when its result would be too large."""
    budget.weigh([*args, *kwargs.values()])
    if isinstance(subject, str):
        guard_counts(args, kwargs)
        guard = _TEXT_METHOD_GUARDS.get(name)
        if guard is not None:
            guard(budget, subject, (*args, *kwargs.values()))
    elif name in ("count", "index"):
        budget.weigh(subject)
