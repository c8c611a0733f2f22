"""What a JSON schema says that restricts no value, and that llguidance refuses all the same. Pure."""

from puna.prompting.tools.schemas import JsonObject

_ENFORCED = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"}
)
"""The formats of texts that llguidance holds a text to."""
_SCHEMAS_BY_NAME = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_VALUES = frozenset({"const", "default", "enum", "examples"})
_ANY_NAME: tuple[object, ...] = (True, {}, {"type": "string"})


def drop_annotations(schema: JsonObject) -> JsonObject:
    """Return the schema without formats that nobody defines, and without names of properties that may be any.

    A format is a note unless it is agreed on (JSON Schema 2020-12, Validation, 7.2.1), such as OpenAPI's `int64`
    and pydantic's `password`; zod writes `propertyNames` for each record.
    """
    return {name: _inside(name, value) for name, value in schema.items() if not _is_note(name, value)}


def _inside(name: str, value: object) -> object:
    match value:
        case dict() if name in _SCHEMAS_BY_NAME:
            return {key: _drop(each) for key, each in value.items()}
        case _ if name in _VALUES:
            return value
        case list():
            return [_drop(each) for each in value]
        case _:
            return _drop(value)


def _drop(value: object) -> object:
    return drop_annotations(value) if isinstance(value, dict) else value


def _is_note(name: str, value: object) -> bool:
    match name:
        case "format":
            return isinstance(value, str) and value not in _ENFORCED
        case "propertyNames":
            return value in _ANY_NAME
        case _:
            return False
