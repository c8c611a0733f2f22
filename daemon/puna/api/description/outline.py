"""A document as people read it: APIs, what they serve, and the fields in rows. Pure; for the page and docs/api.md."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import UNSET

from puna.api.description.field_rows import FieldRow, to_rows, words_of
from puna.api.description.replies import (
    Document,
    JsonSchema,
    MediaType,
    Operation,
    Parameter,
    Reference,
    Response,
)
from puna.api.description.schemas import options_of, resolve

_JSON = "application/json"
_VALUES = {"model_id": "demo", "model": "demo", "name": "demo"}
"""What stands for a variable of a path in an example; any other is its name in capitals."""


@dataclass(frozen=True, kw_only=True)
class BodyOutline:
    """One form of a body or an answer."""

    title: str
    """Which of several it is; empty for the only one."""
    form: str
    """What it is, where it has no fields."""
    rows: Sequence[FieldRow]


@dataclass(frozen=True, kw_only=True)
class FailureOutline:
    """One status."""

    status: str
    description: str


@dataclass(frozen=True, kw_only=True)
class OperationOutline:
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    needs_key: bool
    parameters: Sequence[FieldRow]
    bodies: Sequence[BodyOutline]
    answers: Sequence[BodyOutline]
    streams: Sequence[str]
    failures: Sequence[FailureOutline]
    error: str
    """An example in JSON."""
    curl: str


@dataclass(frozen=True, kw_only=True)
class ApiOutline:
    """One API."""

    name: str
    title: str
    description: str
    operations: Sequence[OperationOutline]


def to_outline(document: Document, address: str) -> list[ApiOutline]:
    """Return the APIs in their order; `address` is where the examples ask."""
    outliner = _Outliner(document, address)
    return [
        ApiOutline(
            name=tag.name,
            title=tag.title,
            description=tag.description,
            operations=[
                outliner.outline(tag.name, path, method, operation)
                for path, methods in document.paths.items()
                for method, operation in methods.items()
                if tag.name in operation.tags
            ],
        )
        for tag in document.tags
    ]


class _Outliner:
    def __init__(self, document: Document, address: str) -> None:
        self._schemas = dict(document.components.schemas)
        self._responses = document.components.responses
        self._address = address

    def outline(self, tag: str, path: str, method: str, operation: Operation) -> OperationOutline:
        body = operation.request_body.content[_JSON] if operation.request_body else None
        statuses = {status: self._response(given) for status, given in operation.responses.items()}
        success = next(response for status, response in statuses.items() if status.startswith("2"))
        content = success.content or {}
        failures = [
            FailureOutline(status=status, description=response.description)
            for status, response in statuses.items()
            if status.startswith(("4", "5"))
        ]
        return OperationOutline(
            id=operation.operation_id if tag == operation.tags[0] else f"{tag}_{operation.operation_id}",
            method=method.upper(),
            path=path,
            summary=operation.summary,
            description=operation.description or "",
            needs_key={} not in operation.security,
            parameters=[self._parameter(each) for each in operation.parameters or ()],
            bodies=self._bodies(body, is_answer=False),
            answers=self._bodies(content.get(_JSON), is_answer=True),
            streams=[media_type for media_type in content if media_type != _JSON],
            failures=failures,
            error=_example_of(statuses[failures[0].status]) if failures else "",
            curl=self._curl(path, method.upper(), operation, _sample_of(body, tag)),
        )

    def _response(self, given: Response | Reference) -> Response:
        return self._responses[given.ref.rpartition("/")[2]] if isinstance(given, Reference) else given

    def _parameter(self, parameter: Parameter) -> FieldRow:
        return FieldRow(
            name=parameter.name,
            type=f"{words_of(parameter.schema, self._schemas)}, in the {parameter.place}",
            is_required=parameter.required,
            default="",
            description=parameter.description or "",
        )

    def _bodies(self, media: MediaType | None, *, is_answer: bool) -> list[BodyOutline]:
        if media is None:
            return []
        options = options_of(media.schema)
        bodies = [self._body(option, is_answer=is_answer) for option in options]
        return bodies if len(bodies) > 1 else [replace(bodies[0], title="")]

    def _body(self, schema: JsonSchema, *, is_answer: bool) -> BodyOutline:
        rows = to_rows(schema, self._schemas, is_answer=is_answer)
        resolved = resolve(schema, self._schemas)
        title = str(resolved.get("title") or resolved.get("description", "")).removesuffix(".")
        return BodyOutline(title=title, form="" if rows else words_of(schema, self._schemas), rows=rows)

    def _curl(self, path: str, method: str, operation: Operation, sample: object) -> str:
        """Return a command; without a body where `sample` is UNSET."""
        for parameter in operation.parameters or ():
            value = _VALUES.get(parameter.name, parameter.name.upper())
            path = path.replace(f"{{{parameter.name}}}", value)
        is_plain = method == ("GET" if sample is UNSET else "POST")
        parts = [f"curl {'' if is_plain else f'-X {method} '}{self._address}{path}"]
        if {} not in operation.security:
            parts.append('-H "X-Api-Key: KEY"')
        if sample is not UNSET:
            quoted = json.dumps(sample).replace("'", "'\\''")
            parts += ['-H "Content-Type: application/json"', f"-d '{quoted}'"]
        return " \\\n  ".join(parts)


def _sample_of(body: MediaType | None, tag: str) -> object:
    """Return an API's example of a body; UNSET where there is none."""
    if body is None:
        return UNSET
    return body.examples[tag].value if body.examples else body.example


def _example_of(response: Response) -> str:
    content: Mapping[str, MediaType] = response.content or {}
    return json.dumps(content[_JSON].example, indent=2) if _JSON in content else ""
