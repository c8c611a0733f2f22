"""Examples of requests, made from their schemas: what must be there, and the model where one can be named."""

from collections.abc import Mapping
from typing import Any

from puna.api.description.replies import JsonSchema
from puna.api.description.schemas import resolve

_TEXTS = {
    "prompt": "Write a haiku about nature",
    "prompts": "Write a haiku about nature",
    "input": "Write a haiku about nature",
    "content": "Write a haiku about nature",
    "query": "Which animal lives in the Andes?",
    "text": "Write a haiku about nature",
    "instructions": "Answer in one sentence.",
    "documents": "The llama lives in the Andes.",
    "model": "demo",
    "model_id": "demo",
    "model_name": "demo",
    "role": "user",
    "source": "demo",
    "destination": "my-model",
    "name": "laptop",
}
"""What stands in a string field of such a name."""
_NUMBERS = {"max_tokens": 200, "top_n": 1}
_QUESTIONS = ("prompt", "messages", "input", "content")
_MODEL_NAMES = ("model_id", "model_name", "model")
"""One of these, and one of those above, is in an example even where it may be left out."""
_MAX_DEPTH = 8


def make_sample(schema: JsonSchema, components: Mapping[str, JsonSchema]) -> object:
    """Return a small value that the schema allows."""
    return _Sampler(components).sample(schema, "text", _MAX_DEPTH)


class _Sampler:
    def __init__(self, components: Mapping[str, JsonSchema]) -> None:
        self._components = components

    def sample(self, schema: JsonSchema, name: str, depth: int) -> object:
        schema = resolve(schema, self._components)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _choose(_list(schema["enum"]), name)
        if "anyOf" in schema:
            return self.sample(self._simplest(_list(schema["anyOf"])), name, depth)
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: JsonSchema, name: str, depth: int) -> object:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                items = max(int(str(schema.get("minItems", 0))), 1 if depth > 0 else 0)
                item_schema = _mapping(schema.get("items", {}))
                return [self.sample(item_schema, name, depth - 1) for _ in range(items)]
            case "integer" | "number":
                return _NUMBERS.get(name, schema.get("minimum", 1))
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _TEXTS.get(name, "text")

    def _object(self, schema: JsonSchema, depth: int) -> dict[str, object]:
        properties = _mapping(schema.get("properties", {}))
        names = [name for name in properties if name in _list(schema.get("required", []))]
        for wanted in (_QUESTIONS, _MODEL_NAMES):
            if not any(name in wanted for name in names):
                names = [name for name in properties if name in wanted][:1] + names
        return {name: self.sample(_mapping(properties[name]), name, depth - 1) for name in names}

    def _simplest(self, options: list[Any]) -> JsonSchema:
        """Return the first plain text, or else the first option."""
        texts = [option for option in options if option.get("type") == "string"]
        return (texts or options)[0]  # type: ignore[no-any-return] # schemas are dicts


def _choose(values: list[Any], name: str) -> object:
    wanted = _TEXTS.get(name)
    return wanted if wanted in values else values[0]


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
