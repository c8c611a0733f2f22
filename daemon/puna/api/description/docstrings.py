"""What the code says about itself: sentences under fields, and the first lines of handlers.

Fields have no docstrings at run time, so the source is read. Where there is none, as in a bundle, the fields are
described by their names and types alone; where Python drops docstrings (-OO), handlers are by theirs.
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise

_ROUTE = re.compile(r"^(?:GET|HEAD|POST|PUT|PATCH|DELETE)\s+[^\s,:]+(?:,?\s+(?:and\s+)?[/.][^\s,:]+)*")


def field_docs(cls: type) -> dict[str, str]:
    """Return the sentences under the fields of a class and of those that it comes from, by attribute name."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        docs.update(_docs_of_module(base.__module__).get(base.__qualname__, {}))
    return docs


def class_doc(cls: type) -> str:
    """Return the docstring of the class itself; empty without one."""
    doc = vars(cls).get("__doc__")
    return inspect.cleandoc(doc) if isinstance(doc, str) else ""


def handler_summary(handler: Callable[..., object]) -> str:
    """Return what a handler does, in a line without its method and path.

    A docstring that says no more than those gives the handler's name in words.
    """
    name = getattr(handler, "__name__", "").strip("_").replace("_", " ").capitalize()
    first = " ".join(_paragraphs(handler)[:1]).replace("\n", " ")
    route = _ROUTE.match(first.removesuffix("."))
    if route is None:
        return first or name
    rest = first[route.end() :].removesuffix(".")
    if rest.startswith(":"):
        rest = rest.removeprefix(":").strip()
        return f"{rest[:1].upper()}{rest[1:]}."
    return f"{name}{rest}." if rest else name


def handler_details(handler: Callable[..., object]) -> str:
    """Return what a handler's docstring says behind its first paragraph; empty where it says no more."""
    return "\n\n".join(_paragraphs(handler)[1:])


def _paragraphs(handler: Callable[..., object]) -> list[str]:
    doc = inspect.cleandoc(handler.__doc__ or "")
    return [paragraph for paragraph in doc.split("\n\n") if paragraph]


@cache
def _docs_of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Return the sentences under fields, by class, then by field."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return {}
    return {node.name: dict(_docs_in(node.body)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docs_in(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
