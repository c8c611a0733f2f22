"""JSON schemas of the types on the wire, as components of one document.

`msgspec.json.schema` makes those of plain types with their ranges. Structs, lists and unions are taken apart here:
msgspec refuses unions that only an encoder could handle, such as an object with known fields or any other, and
answers have them.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import FieldInfo, fields

from puna.api.description.docstrings import class_doc, field_docs
from puna.api.description.replies import JsonSchema

_PLACE = "#/components/schemas/"
_LISTS = (list, tuple, set, frozenset, Sequence)


class Schemas:
    """The component schemas of a document. Each API has its own names: `Openai` and `ChatBody` are `OpenaiChatBody`."""

    def __init__(self) -> None:
        self.components: dict[str, JsonSchema] = {}
        self._names: dict[tuple[str, object], str] = {}

    def of_body(self, prefix: str, type_: object) -> JsonSchema:
        """Return the schema of what is read: fields with a default may be left out."""
        return _Generator(self, prefix, is_answer=False).schema_of(type_)

    def of_answer(self, prefix: str, type_: object) -> JsonSchema:
        """Return the schema of what is written: fields with a default are there all the same."""
        return _Generator(self, prefix, is_answer=True).schema_of(type_)

    def add(self, name: str, schema: JsonSchema) -> JsonSchema:
        """Add a component and return the reference to it."""
        self.components[name] = schema
        return {"$ref": _PLACE + name}

    def find_name(self, prefix: str, cls: type) -> str | None:
        """Return the component's name of a class; None where it is none yet."""
        return self._names.get((prefix, cls))

    def take_name(self, prefix: str, cls: type) -> str:
        """Return a free name for a class, with a part of its module's name where two classes have the same."""
        simple = re.sub(r"\W+", "_", cls.__name__).strip("_")
        parts = [part.capitalize() for part in cls.__module__.split(".")[3:-1]]
        candidates = [prefix + simple, prefix + "".join(parts) + simple]
        candidates += [f"{prefix}{simple}{number}" for number in range(2, 100)]
        name = next(each for each in candidates if each not in self.components)
        self._names[prefix, cls] = name
        self.components[name] = {}
        return name


def options_of(schema: JsonSchema) -> Sequence[JsonSchema]:
    """Return what a schema gives the choice of: itself, where it is no choice."""
    options = schema.get("anyOf")
    return options if isinstance(options, list) else [schema]


def resolve(schema: JsonSchema, components: Mapping[str, JsonSchema]) -> JsonSchema:
    """Return the component for a reference, its neighbours added; anything else as it is."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    beside = {name: value for name, value in schema.items() if name != "$ref"}
    return {**components[reference.removeprefix(_PLACE)], **beside}


def pascal(name: str) -> str:
    """Return a name such as `fine_tunes` as `FineTunes`."""
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name))


class _Generator:
    """Schemas of one API, of one direction."""

    def __init__(self, schemas: Schemas, prefix: str, *, is_answer: bool) -> None:
        self._schemas = schemas
        self._prefix = prefix
        self._is_answer = is_answer

    def schema_of(self, type_: Any) -> dict[str, Any]:
        """Return the schema; raises `TypeError` for a type that has none."""
        if get_origin(type_) is Annotated:
            inner, *marks = get_args(type_)
            return self._collection(inner, marks) or msgspec.json.schema(type_)
        if get_origin(type_) in (Union, UnionType):
            return self._union(get_args(type_))
        if isinstance(type_, type) and issubclass(type_, Struct | Enum):
            return self._reference(type_)
        if type_ is object:
            return {}
        return self._collection(type_, ()) or msgspec.json.schema(type_)

    def _collection(self, type_: Any, marks: Sequence[Any]) -> dict[str, Any] | None:
        """Return the schema of a list or dict with bounds on its size; None for any other type."""
        origin, arguments = get_origin(type_), get_args(type_)
        if origin in _LISTS and (origin is not tuple or arguments[1:] == (...,)):
            bounds = msgspec.json.schema(Annotated[list[Any], *marks] if marks else list[Any])
            return bounds | {"items": self.schema_of(arguments[0])}
        if isinstance(origin, type) and hasattr(origin, "keys"):
            bounds = msgspec.json.schema(Annotated[dict[str, Any], *marks] if marks else dict[str, Any])
            return bounds | {"additionalProperties": self.schema_of(arguments[1])}
        return None

    def _union(self, types: Sequence[Any]) -> dict[str, Any]:
        members = [member for member in types if member is not UnsetType]
        members.sort(key=lambda member: member is NoneType)
        options = _join_numbers([self.schema_of(member) for member in members])
        if len(options) == 1:
            return options[0]
        return {"anyOf": options} | self._discriminator(members)

    def _discriminator(self, members: Sequence[Any]) -> dict[str, Any]:
        structs = [member for member in members if isinstance(member, type) and issubclass(member, Struct)]
        tag_fields = {struct.__struct_config__.tag_field for struct in structs}
        if len(structs) < 2 or len(tag_fields) > 1 or None in tag_fields:
            return {}
        mapping = {str(one.__struct_config__.tag): self._reference(one)["$ref"] for one in structs}
        return {"discriminator": {"propertyName": tag_fields.pop(), "mapping": mapping}}

    def _reference(self, cls: type[Struct] | type[Enum]) -> dict[str, Any]:
        name = self._schemas.find_name(self._prefix, cls)
        if name is None:
            # The name comes first: the type may hold itself.
            name = self._schemas.take_name(self._prefix, cls)
            component = self._enum(cls) if issubclass(cls, Enum) else self._struct(cls)
            self._schemas.add(name, component)
        return {"$ref": _PLACE + name}

    def _enum(self, cls: type[Enum]) -> dict[str, Any]:
        return _described(class_doc(cls)) | {"enum": [member.value for member in cls]}

    def _struct(self, cls: type[Struct]) -> dict[str, Any]:
        config, docs = cls.__struct_config__, field_docs(cls)
        properties: dict[str, Any] = {}
        if config.tag_field is not None:
            properties[config.tag_field] = {"const": config.tag}
        required = list(properties)
        for field in fields(cls):
            properties[field.encode_name] = self._field(field, docs.get(field.name, ""))
            if self._is_required(field, omits_defaults=config.omit_defaults):
                required.append(field.encode_name)
        schema = _described(class_doc(cls)) | {"type": "object", "properties": properties}
        return schema | {"required": required} if required else schema

    def _field(self, field: FieldInfo, doc: str) -> dict[str, Any]:
        schema = self.schema_of(field.type) | _described(doc)
        if not self._is_answer and field.default not in (msgspec.NODEFAULT, UNSET, None):
            schema["default"] = msgspec.to_builtins(field.default)
        return schema

    def _is_required(self, field: FieldInfo, *, omits_defaults: bool) -> bool:
        if not self._is_answer or omits_defaults:
            return field.required
        return field.default is not UNSET


def _described(text: str) -> dict[str, Any]:
    return {"description": text} if text else {}


def _join_numbers(options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out numbers that must be whole beside whole numbers: in a schema, 100.0 is an integer too."""
    if not any(option.get("type") == "integer" for option in options):
        return options
    return [option for option in options if option.get("multipleOf") != 1]
