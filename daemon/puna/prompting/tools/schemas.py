"""The JSON schemas of tools: read once, asked for types, put together."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from puna.domain.chat import Tool
from puna.errors import InvalidRequestError

MAX_DEPTH = 32
"""Of the arguments of a tool."""
_MAX_FORMAT_DEPTH = 40
"""Of a format; the arguments of tools are a part of one where calls are demanded."""
JsonObject = dict[str, object]

_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_ALL_TYPES = frozenset(_TYPES.values())
_MAX_REFERENCES = 8
_OTHER_PROPERTIES = frozenset({"additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "if"})


def decode_schema(tool: Tool) -> JsonObject:
    """Return the schema of a tool's arguments, always that of an object.

    Raises `InvalidRequestError` for what is no JSON, no schema of an object, or nested too deeply.
    """
    try:
        schema = msgspec.json.decode(tool.parameters)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _invalid(tool, f"are not JSON: {error}") from error
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise _invalid(tool, "must be a JSON schema with the type object")
    if _is_deep(schema, MAX_DEPTH):
        raise _invalid(tool, f"are nested more than {MAX_DEPTH} levels deep")
    schema = {**resolve(schema, schema), **schema} if "$ref" in schema else schema
    return {"type": "object", **{key: value for key, value in schema.items() if key != "$ref"}}


def decode_schema_text(text: str) -> JsonObject:
    """Return the JSON schema of a format. Raises `InvalidRequestError` for what is none, or nested too deeply."""
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequestError(f"The schema is not JSON: {error}.", field="format") from error
    if not isinstance(schema, dict):
        raise InvalidRequestError("The schema must be a JSON object.", field="format")
    if _is_deep(schema, _MAX_FORMAT_DEPTH):
        raise InvalidRequestError(
            f"The schema is nested more than {_MAX_FORMAT_DEPTH} levels deep.", field="format"
        )
    return schema


def _invalid(tool: Tool, what: str) -> InvalidRequestError:
    return InvalidRequestError(f"The parameters of the tool '{tool.name[:100]}' {what}.", field="tools")


def _is_deep(value: object, max_depth: int) -> bool:
    level: Sequence[object] = [value]
    for _ in range(max_depth):
        level = [child for parent in level for child in children(parent)]
        if not level:
            return False
    return True


def children(value: object) -> Sequence[object]:
    """Return what a JSON value contains."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def properties_of(schema: JsonObject) -> dict[str, JsonObject]:
    """Return the schemas of an object's properties; one without conditions where a schema is no object."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {str(name): value if isinstance(value, dict) else {} for name, value in properties.items()}


def required_of(schema: JsonObject) -> frozenset[str]:
    """Return the names of the properties that an object must have."""
    required = schema.get("required")
    return (
        frozenset(name for name in required if isinstance(name, str))
        if isinstance(required, list)
        else frozenset()
    )


def types_of(schema: JsonObject, root: JsonObject) -> frozenset[str]:
    """Return the JSON types that a value of this schema can have; all of them where it does not say."""
    return frozenset(_list_types(schema, root, _MAX_REFERENCES))


def _list_types(schema: JsonObject, root: JsonObject, depth: int) -> Iterator[str]:
    declared = schema.get("type")
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(declared, str):
        yield declared
    elif isinstance(declared, list):
        yield from (name for name in declared if isinstance(name, str))
    elif "const" in schema or isinstance(schema.get("enum"), list):
        yield from map(type_name, choices_of(schema) or ())
    elif depth and isinstance(options, list):
        for option in options:
            yield from _list_types(option if isinstance(option, dict) else {}, root, depth - 1)
    elif depth and isinstance(schema.get("$ref"), str):
        yield from _list_types(resolve(schema, root), root, depth - 1)
    else:
        yield from _ALL_TYPES


def type_name(value: object) -> str:
    """Return the JSON type of a decoded value."""
    return _TYPES[type(value)]


def choices_of(schema: JsonObject) -> list[object] | None:
    """Return the values of `const` or `enum`; None where any value of the type is possible."""
    if "const" in schema:
        return [schema["const"]]
    choices = schema.get("enum")
    return choices if isinstance(choices, list) else None


def resolve(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Return the schema that a `$ref` within the document points to; one without conditions if there is none."""
    target: object = root
    for step in str(schema.get("$ref", "")).removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, dict) else None
    return target if isinstance(target, dict) else {}


def close(schema: JsonObject) -> JsonObject:
    """Return the schema without further properties, where it lists some and does not speak of others."""
    if "properties" not in schema or _OTHER_PROPERTIES & schema.keys():
        return schema
    return {**schema, "additionalProperties": False}


def definitions_of(schema: JsonObject) -> JsonObject:
    """Return what references of a document's parts may point to."""
    return {key: schema[key] for key in ("$defs", "definitions") if key in schema}


def has_references(schema: object) -> bool:
    """Return whether any part points to another."""
    if isinstance(schema, dict) and "$ref" in schema:
        return True
    return any(map(has_references, children(schema)))


def move_references(schema: object, place: str) -> object:
    """Return the schema with its references right for a document that holds it at `place`."""
    if isinstance(schema, list):
        return [move_references(item, place) for item in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: move_references(value, place) for key, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        moved["$ref"] = f"#{place}{reference[1:]}"
    return moved
