"""What an answer must look like, from `response_format`. Pure."""

from collections.abc import Mapping

from puna.api.encoding import encode_json
from puna.api.openai.chat.schema import ChatBody, ResponseFormat
from puna.domain.constraint import Constraint, JsonSchemaConstraint
from puna.errors import InvalidRequestError

_ANY_OBJECT: Mapping[str, object] = {"type": "object"}


def to_constraint(body: ChatBody) -> Constraint | None:
    """Return what the text is held to. Raises `InvalidRequestError` for a format that is none."""
    schema = body.json_schema if body.response_format is None else _to_schema(body.response_format)
    return None if schema is None else JsonSchemaConstraint(encode_json(schema).decode())


def _to_schema(format_: ResponseFormat) -> Mapping[str, object] | None:
    match format_.type:
        case "text":
            return None
        case "json_object":
            return format_.schema_ or _ANY_OBJECT
        case "json_schema":
            given = format_.schema_ if format_.json_schema is None else format_.json_schema.schema_
            if given is None:
                field = "response_format.json_schema.schema"
                raise InvalidRequestError(f"`{field}` is required.", field=field)
            return given
        case _:
            raise InvalidRequestError(
                "`response_format.type` must be text, json_object or json_schema.",
                field="response_format.type",
            )
