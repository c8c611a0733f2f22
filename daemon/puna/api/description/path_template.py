"""Paths as aiohttp writes them, as OpenAPI does: `{model_id:.+}` becomes `{model_id}` and a parameter."""

import re

from puna.api.description.replies import Parameter

_VARIABLE = re.compile(r"\{(?P<name>\w+)(?::(?P<pattern>(?:[^{}]|\{[^{}]*\})+))?\}")
_ANYTHING = frozenset({".+", ".*"})


def to_template(path: str) -> str:
    """Return the path with the names of its variables alone."""
    return _VARIABLE.sub(lambda found: f"{{{found['name']}}}", path)


def to_parameters(path: str) -> tuple[Parameter, ...]:
    """Return the variables of a path."""
    return tuple(_to_parameter(found["name"], found["pattern"]) for found in _VARIABLE.finditer(path))


def to_operation_id(dialect: str, method: str, path: str) -> str:
    """Return a name for a method of a path, which changes only when they do: `locallab_post_generate_batch`."""
    words = re.findall(r"[A-Za-z0-9]+", to_template(path))
    return "_".join([dialect, method.lower(), *words] if words else [dialect, method.lower(), "root"])


def _to_parameter(name: str, pattern: str | None) -> Parameter:
    schema: dict[str, object] = {"type": "string", "minLength": 1}
    if pattern in _ANYTHING:
        return Parameter(
            name=name, place="path", required=True, schema=schema, description="May have slashes in it."
        )
    if pattern is not None:
        schema["pattern"] = f"^(?:{pattern})$"
    return Parameter(name=name, place="path", required=True, schema=schema)
