"""The schema of an API's errors, read off samples that it has rendered. Pure."""

from collections.abc import Iterable

from puna.api.description.replies import JsonSchema


def error_schema(samples: Iterable[object]) -> JsonSchema:
    """Return a schema that all these values of JSON have."""
    schema: JsonSchema = {}
    for sample in samples:
        schema = _join(schema, _schema_of(sample))
    return schema


def _schema_of(value: object) -> dict[str, object]:
    match value:
        case dict():
            properties = {name: _schema_of(inner) for name, inner in value.items()}
            return {"type": "object", "properties": properties, "required": list(properties)}
        case list():
            return {"type": "array"}
        case bool():
            return {"type": "boolean"}
        case int() | float():
            return {"type": "number"}
        case None:
            return {"type": "null"}
        case _:
            return {"type": "string"}


def _join(one: JsonSchema, other: JsonSchema) -> JsonSchema:
    """Return the schema of whatever one of both allows."""
    if not one or one == other:
        return other
    if one.get("type") == other.get("type") == "object":
        left, right = dict(_properties(one)), dict(_properties(other))
        joined = {
            name: _join(left.get(name, {}), right.get(name, left.get(name, {}))) for name in left | right
        }
        required = [name for name in left if name in right]
        return {"type": "object", "properties": joined, "required": required}
    types = [*_types(one), *(each for each in _types(other) if each not in _types(one))]
    return {"type": types[0] if len(types) == 1 else types}


def _properties(schema: JsonSchema) -> dict[str, JsonSchema]:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return properties


def _types(schema: JsonSchema) -> list[object]:
    types = schema.get("type")
    return types if isinstance(types, list) else [types]
