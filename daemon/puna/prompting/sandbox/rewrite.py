"""Changes a parsed template so that every costly operation goes through a guard."""

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

TICK = "puna tick"
ITERATE = "puna iterate"
COMPARABLE = "puna comparable"
CONCAT = "puna concat"
SLICE = "puna slice"
KEY = "puna key"
"""Names of filters that only the rewriting can use: no template can spell them."""

MAX_NODES = 50_000
MAX_DEPTH = 150

_REFUSED: tuple[type[nodes.Node], ...] = (
    nodes.Extends,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.EvalContextModifier,
)


class TemplateShapeError(Exception):
    """The template is too deeply nested, too large, or uses a statement that has no place in it."""


def rewrite(template: nodes.Template) -> nodes.Template:
    """Return the template with guards. Raises `TemplateShapeError`."""
    _check_shape(template)
    rewritten = _Guarding().visit(template)
    assert isinstance(rewritten, nodes.Template)
    return rewritten


def _check_shape(template: nodes.Template) -> None:
    count = 0
    waiting: list[tuple[nodes.Node, int]] = [(template, 0)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > MAX_NODES:
            raise TemplateShapeError("is too large")
        if depth > MAX_DEPTH or (isinstance(node, nodes.If) and len(node.elif_) > MAX_DEPTH):
            raise TemplateShapeError("is too deeply nested")
        if isinstance(node, _REFUSED):
            raise TemplateShapeError(
                f"uses the statement '{type(node).__name__.lower()}', which is not allowed"
            )
        waiting.extend((child, depth + 1) for child in node.iter_child_nodes())


def _filtered(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


class _Guarding(NodeTransformer):
    """One method for each kind of node that needs a guard and that Jinja's sandbox leaves alone."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the visitor's naming
        self.generic_visit(node)
        node.iter = _filtered(node.iter, ITERATE)
        tick = _filtered(nodes.Const(None, lineno=node.lineno), TICK)
        node.body.insert(0, nodes.ExprStmt(tick, lineno=node.lineno))
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _filtered(node.expr, COMPARABLE)
        for operand in node.ops:
            if not isinstance(operand.expr, nodes.Const):
                operand.expr = _filtered(operand.expr, COMPARABLE)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), CONCAT)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        return _filtered(
            node.node, SLICE, *(bound or nodes.Const(None, lineno=node.lineno) for bound in bounds)
        )

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.key = _filtered(node.key, KEY)
        return node
