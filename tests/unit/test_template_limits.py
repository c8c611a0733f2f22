"""Templates that come from a hostile file: they end early, small and with a clear sentence."""

import contextlib
import itertools
import random
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from puna.domain.chat import Message, Role
from puna.errors import GenerationError
from puna.prompting.chat_template import ChatTemplate
from puna.prompting.sandbox.budget import MAX_DURATION_S, Budget, TemplateLimitError
from puna.prompting.sandbox.program import MAX_SOURCE_CHARACTERS, TemplateFailedError, TemplateProgram

USER = Message(Role.USER, "hello")

NESTED = (
    "{% set ns = namespace(l=['a'], m=['a'], t=('a',)) %}{% for i in range(60) %}"
    "{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}"
)
GROWING = "{% set ns = namespace(s='ab') %}{% for i in range(99) %}...{% endfor %}"
LONG = "{% set x = 'ab' * 500000 %}{% set y = 'ab' * 500000 %}"
MANY = "{% for i in range(100000) %}{% for j in range(100000) %}"
DONE = "{% endfor %}{% endfor %}"

TOO_LONG = {
    "product": "{{ 'a' * 10**10 }}",
    "constant product": "{% set x = 10000000000 * 'a' %}",
    "product of products": "{{ 'a' * 100000 * 100000 }}",
    "sum in a loop": GROWING.replace("...", "{% set ns.s = ns.s + ns.s %}"),
    "join in a loop": GROWING.replace("...", "{% set ns.s = ns.s ~ ns.s %}"),
    "block in a loop": GROWING.replace(
        "...", "{% set x %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = x %}"
    ),
    "macro in a loop": (
        "{% macro twice(s) %}{{ s }}{{ s }}{% endmacro %}"
        + GROWING.replace("...", "{% set ns.s = twice(ns.s) %}")
    ),
    "filter block": "{% filter replace('a', 'b' * 100000) %}" + "a" * 1000 + "{% endfilter %}",
    "replace": LONG + "{{ x.replace('a', x) }}",
    "replace filter": LONG + "{{ x | replace('a', x) }}",
    "replace nothing": LONG + "{{ x.replace('', 'abcdef') }}",
    "join": LONG + "{{ ([x] * 100000) | join(x) }}",
    "join method": LONG + "{{ x.join(['a'] * 100000) }}",
    "indent": "{{ ('\\n' * 1000000) | indent(100000) }}",
    "format": LONG + "{{ '{0}{0}{0}'.format(x) }}",
    "percent": LONG + "{{ '%s%s' % (x, x) }}",
    "percent filter": LONG + "{{ '%s%s' | format(x, x) }}",
    "widths": "{{ ('%99999d' * 100) % ((1,) * 100) }}",
    "output": LONG + "{{ x }}{{ y }}",
    "printing nested lists": NESTED + "{{ ns.l }}",
    "nested lists as JSON": NESTED + "{{ ns.l | tojson }}",
    "nested lists as text": NESTED + "{{ ns.l | string }}{{ 'a' ~ ns.l }}",
    "nested lists compared": NESTED + "{{ ns.l == ns.m }}",
    "nested lists found": NESTED + "{{ ns.l in [ns.m] }}",
    "nested lists sorted": NESTED + "{{ [ns.l, ns.m] | sort }}",
    "nested lists in a test": NESTED + "{{ [ns.l] | select('equalto', ns.m) | list }}",
    "nested lists counted": NESTED + "{{ [ns.l].count(ns.m) }}",
    "nested lists formatted": NESTED + "{{ '%s' % ([ns.l],) }}{{ '{}'.format(ns.l) }}",
    "nested tuples made unique": NESTED + "{{ [ns.t] | unique }}",
    "nested tuples looked up": NESTED + "{{ {}.get(ns.t) }}",
    "nested tuples in a dict": NESTED + "{{ dict([(ns.t, 1)]) }}",
    "nested dicts": (
        "{% set ns = namespace(d={}) %}{% for i in range(60) %}"
        "{% set ns.d = {'a': ns.d, 'b': ns.d} %}{% endfor %}{{ ns.d.values() }}"
    ),
}

TOO_MUCH = {
    "loops": MANY + DONE,
    "loops with text": MANY + "x" + DONE,
    "loops with conditions": MANY + "{% if i == j %}{% endif %}" + DONE,
    "calls": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(30) }}",
    "slices": LONG + "{% for i in range(100000) %}{% set z = x[1:] %}{% endfor %}",
    "comparisons": LONG + MANY + "{% if x == y %}{% endif %}" + DONE,
    "filters": LONG + "{% for i in range(100000) %}{% set z = x | upper | lower %}{% endfor %}",
    "methods": LONG + "{% for i in range(100000) %}{% set z = x.upper() %}{% endfor %}",
    "lists": "{% for i in range(100000) %}{% set z = range(100000) | list %}{% endfor %}",
    "maps": "{% for i in range(100000) %}{% set z = range(100000) | map('string') | list %}{% endfor %}",
    "splits": LONG + "{% for i in range(100000) %}{% set z = x.split('a') %}{% endfor %}",
}

REFUSED = {
    "width": ("{{ 'a' | center(10**9) }}", "width or count"),
    "width of a method": ("{{ 'a'.ljust(10**9) }}", "width or count"),
    "width in a map": ("{{ ['a'] | map('center', 10**9) | list }}", "width or count"),
    "width of a format": ("{{ '{:>1000000000}'.format('a') }}", "width"),
    "width from a value": ("{{ '{:{}}'.format('a', 9) }}", "width"),
    "width of percent": ("{{ '%1000000000d' % 1 }}", "width"),
    "precision of percent": ("{{ '%.1000000000f' % 1 }}", "width"),
    "star of percent": ("{{ '%*d' % (10**9, 1) }}", "width"),
    "width of the time": ("{{ strftime_now('%1000000000Y') }}", "width"),
    "power": ("{{ 10 ** (10 ** 8) }}", "number that is too large"),
    "power of powers": ("{{ 9 ** (9 ** 9) }}", "number that is too large"),
    "products": (
        "{% set ns = namespace(n=3) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "number that is too large",
    ),
    "digits": ("{{ 5 | round(-1000000000) }}", "digits"),
    "list product": ("{{ [1] * 10**10 }}", "list that is too long"),
    "list of characters": ("{{ ('a' * 1000001) | list }}", "list that is too long"),
    "sum of lists": ("{{ ([[1]] * 1000) | sum(start=[]) }}", "no numbers"),
    "range": ("{{ range(10**9) | list }}", "range"),
    **{
        f"search from the end by {method}": (f"{LONG}{{{{ x.{method}('ba' ~ x[:400000]) }}}}", "searches for")
        for method in ("rfind", "rindex", "rsplit", "rpartition", "strip", "lstrip", "rstrip")
    },
    "trimming of many": (LONG + "{{ x | trim('c' * 1000 ~ 'ab') }}", "searches for"),
    "tuple as key": ("{{ {(1, 2): 3} }}", "tuple as a key"),
    "tuple as index": ("{{ {}[(1, 2)] }}", "tuple as a key"),
    "recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "too deeply nested"),
    "recursive loop": ("{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}", "too deeply nested"),
    "JSON indent": ("{{ [1] | tojson(indent=100000) }}", "indents JSON"),
    "JSON indent text": ("{{ [1] | tojson(indent='a' * 100000) }}", "indents JSON"),
    "class": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "class by filter": ("{{ (messages | attr('__class__')).__mro__ }}", "unsafe"),
    "class by item": ("{{ ''['__class__'].__mro__ }}", "unsafe"),
    "globals": ("{{ raise_exception.__globals__['x'] }}", "unsafe"),
    "code of a macro": ("{% macro m() %}{% endmacro %}{{ m._func.x }}", "unsafe"),
    "format_map": ("{{ '{a}'.format_map({'a': 1}) }}", "not allowed"),
    "class by format": ("{{ '{0.__class__.x}'.format('') }}", "unsafe"),
    "bytes": ("{{ 'a'.encode() }}", "unsafe"),
    "big bytes": ("{{ (1).to_bytes(10**9, 'big') }}", "unsafe"),
    "changing messages": ("{{ messages.append(1) }}", "unsafe"),
    "changing a message": ("{{ messages[0].update({'a': 1}) }}", "unsafe"),
    "include": ("{% include 'x' %}", "'include'"),
    "import": ("{% import 'x' as y %}", "'import'"),
    "extends": ("{% extends 'x' %}", "'extends'"),
    "autoescape": ("{% autoescape true %}{% endautoescape %}", "not allowed"),
    "lipsum": ("{{ lipsum(n=1000000) }}", "undefined"),
}

UNCOMPILABLE = {
    "too long": "x" * (MAX_SOURCE_CHARACTERS + 1),
    "parentheses": "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "nots": "{{ " + "not " * 5_000 + "a }}",
    "sums": "{{ " + "+".join("a" * 5_000) + " }}",
    "attributes": "{{ a" + ".b" * 5_000 + " }}",
    "conditions": "{% if a %}" * 120 + "{% endif %}" * 120,
    "loops": "{% for a in b %}" * 30 + "{% endfor %}" * 30,
    "else conditions": "{% if a %}" + "{% elif b %}" * 5_000 + "{% endif %}",
    "lists": "{{ " + "[" * 500 + "]" * 500 + " }}",
    "digits": "{{ " + "9" * 100_000 + " }}",
    "unknown statement": "{% shell 'rm' %}",
    "open comment": "{#" * 50_000,
    "control characters": "{% \x00\x1b[2J %}",
}


def refused(source: str) -> str:
    with pytest.raises(GenerationError) as caught:
        ChatTemplate(source).render([USER])
    message = caught.value.message
    assert message.startswith("This model's chat template ")
    assert message.isprintable()
    assert len(message) < 400
    return message


def peak_mib(action: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("source", TOO_LONG.values(), ids=TOO_LONG)
def test_what_would_grow_too_long_is_not_even_made(source: str) -> None:
    said: list[str] = []
    assert peak_mib(lambda: said.append(refused(source))) < 48
    assert said[0].endswith("makes a text that is too long.")


@pytest.mark.parametrize("source", TOO_MUCH.values(), ids=TOO_MUCH)
def test_work_without_end_is_cut_off(source: str) -> None:
    budget = Budget(5, clock=lambda: 0.0)
    with pytest.raises(TemplateFailedError, match="does too much work"):
        TemplateProgram(source).run({}, budget)


@pytest.mark.parametrize(("source", "said"), REFUSED.values(), ids=REFUSED)
def test_tricks_are_refused(source: str, said: str) -> None:
    assert said in refused(source)


@pytest.mark.parametrize("source", UNCOMPILABLE.values(), ids=UNCOMPILABLE)
def test_what_cannot_be_compiled_is_a_clear_error(source: str) -> None:
    assert ChatTemplate(source).problem is not None
    refused(source)


def test_compiling_runs_nothing() -> None:
    source = "{{ 'a' | center(100000) | upper }}{{ ('ab' * 100000) | replace('a', 'bb') }}{{ 2 ** 4000 }}"
    assert peak_mib(lambda: TemplateProgram(source)) < 5


def test_lists_that_hold_themselves_can_be_printed() -> None:
    source = "{% set ns = namespace() %}{% set ns.l = [ns, ns] %}{{ ns.l }}"
    assert ChatTemplate(source).render([USER]) == "[<Namespace>, <Namespace>]"


def test_lazy_filters_do_not_pile_up() -> None:
    """Iterators around iterators by the thousand would overflow the stack when they are freed."""
    source = (
        "{% set ns = namespace(g=[1]) %}{% for i in range(30000) %}"
        "{% set ns.g = ns.g | map('string') %}{% endfor %}{{ ns.g | list }}"
    )
    assert ChatTemplate(source).render([USER]) == "['1']"


def test_deep_lists_are_freed_without_harm() -> None:
    source = "{% set ns = namespace(l=[]) %}{% for i in range(30000) %}{% set ns.l = [ns.l] %}{% endfor %}"
    assert ChatTemplate(source + "done").render([USER]) == "done"
    assert "too deeply nested" in refused(source + "{{ ns.l }}")


def test_the_clock_ends_what_the_counts_do_not() -> None:
    clock = itertools.count(0, MAX_DURATION_S / 100)
    budget = Budget(10, clock=lambda: float(next(clock)))
    program = TemplateProgram("{% for i in range(100000) %}{% endfor %}")
    with pytest.raises(TemplateFailedError, match="takes longer than 5 seconds"):
        program.run({}, budget)


def test_the_limits_of_a_rendering_grow_with_its_input() -> None:
    assert Budget(10_000_000).max_text > 20_000_000
    small = Budget(10)
    with pytest.raises(TemplateLimitError):
        small.require_text(2_000_000)


def test_a_template_keeps_nothing_from_one_rendering_to_the_next() -> None:
    template = ChatTemplate("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}")
    assert [template.render([USER]) for _ in range(3)] == ["1", "1", "1"]


def test_random_templates_end_in_text_or_in_a_clear_error() -> None:
    dice = random.Random(5)
    limit = sys.getrecursionlimit()
    values = ["messages", "'ab'", "7", "[1, 'a']", "{'a': 1}", "x", "none", "range(9)", "messages[0].content"]
    filters = [
        "length",
        "list",
        "upper",
        "join('-')",
        "first",
        "sort",
        "tojson",
        "map('upper')",
        "int",
        "batch(2)",
    ]
    operators = [" + ", " ~ ", " * ", " == ", " in ", " % ", " ** ", " and ", "[", "."]
    for _ in range(400):
        expression = dice.choice(values)
        for _ in range(dice.randrange(5)):
            operator = dice.choice([*operators, " | "])
            match operator:
                case " | ":
                    expression = f"({expression}) | {dice.choice(filters)}"
                case "[":
                    expression = f"({expression})[{dice.choice(values)}:]"
                case ".":
                    expression = (
                        f"({expression}).{dice.choice(['upper()', 'items()', 'role', 'split()', '__init__'])}"
                    )
                case _:
                    expression = f"({expression}){operator}{dice.choice(values)}"
        source = "{% for x in messages %}{{ " + expression + " }}{% endfor %}"
        said = ""
        with contextlib.suppress(GenerationError):
            said = ChatTemplate(source).render([USER])
        assert len(said) < 2_000_000
    assert sys.getrecursionlimit() == limit
