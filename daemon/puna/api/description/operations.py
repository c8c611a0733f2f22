"""Routes to operations: a method of a path, which several APIs may share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from puna.api.description.docstrings import handler_details, handler_summary
from puna.api.description.error_shape import error_schema
from puna.api.description.failures import Failure, failures_of, statuses_of
from puna.api.description.path_template import to_operation_id, to_parameters
from puna.api.description.replies import (
    Example,
    JsonSchema,
    MediaType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Response,
)
from puna.api.description.samples import make_sample
from puna.api.description.schemas import Schemas, pascal
from puna.api.description.security import Alternative, alternatives_of
from puna.api.dialect import Dialect, Route

_JSON = "application/json"
_STREAM_SCHEMAS: Mapping[str, JsonSchema] = {
    "text/event-stream": {"type": "string", "description": "Server-sent events, one write each."},
    "application/x-ndjson": {"type": "string", "description": "Objects of JSON, one on a line."},
}


@dataclass(frozen=True)
class Served:
    """A route, and the API that has it."""

    dialect: Dialect
    route: Route


class Operations:
    """Makes the operations of one document, and collects the components that they refer to."""

    def __init__(self, open_dialects: Collection[str]) -> None:
        self.schemas = Schemas()
        self.responses: dict[str, Response] = {}
        self._open_dialects = open_dialects
        self._usual_shapes: dict[str, JsonSchema] = {}
        self._failures: dict[tuple[str, str, str], Mapping[int, Failure]] = {}

    def describe(self, sharers: Sequence[Served]) -> Operation:
        """Return the operation of a method and path; the first of those that share it is the owner."""
        owner = sharers[0].route
        details = "\n\n".join(filter(None, (_describe_shared(sharers), handler_details(owner.handler))))
        return Operation(
            operation_id=to_operation_id(sharers[0].dialect.name, owner.method, owner.path),
            tags=tuple(each.dialect.name for each in sharers),
            summary=handler_summary(owner.handler),
            description=details or UNSET,
            parameters=(*to_parameters(owner.path), *_query_parameters(owner)) or UNSET,
            request_body=self._request_body(sharers),
            responses=self._responses(sharers),
            security=self._security(sharers),
        )

    def _request_body(self, sharers: Sequence[Served]) -> RequestBody | UnsetType:
        readers = [each for each in sharers if each.route.body is not None]
        if not readers:
            return UNSET
        schemas = [self._body_schema(each) for each in readers]
        schema = _any_of(dict(zip([_title_of(each.dialect) for each in readers], schemas, strict=True)))
        samples = [make_sample(each, self.schemas.components) for each in schemas]
        if len(samples) == 1:
            return RequestBody(content={_JSON: MediaType(schema=schema, example=samples[0])})
        names = [each.dialect.name for each in readers]
        examples = dict(zip(names, map(Example, samples), strict=True))
        return RequestBody(content={_JSON: MediaType(schema=schema, examples=examples)})

    def _body_schema(self, served: Served) -> JsonSchema:
        assert served.route.body is not None
        return self.schemas.of_body(pascal(served.dialect.name), served.route.body.struct)

    def _responses(self, sharers: Sequence[Served]) -> dict[str, Response | Reference]:
        responses: dict[str, Response | Reference] = {str(sharers[0].route.status): self._success(sharers)}
        for sharer in sharers:
            for status in statuses_of(sharer.dialect, sharer.route):
                responses.setdefault(str(status), self._failure(sharers, status))
        responses["default"] = self._failure(sharers, None)
        return responses

    def _success(self, sharers: Sequence[Served]) -> Response:
        content: dict[str, MediaType] = {}
        schemas = {
            _title_of(each.dialect): self.schemas.of_answer(pascal(each.dialect.name), each.route.reply)
            for each in sharers
            if each.route.reply is not None
        }
        if schemas:
            content[_JSON] = MediaType(schema=_any_of(schemas))
        for each in sharers:
            media_type = (each.route.stream_type or "").partition(";")[0]
            if media_type:
                content[media_type] = MediaType(schema=_STREAM_SCHEMAS.get(media_type, {"type": "string"}))
        return Response(description="The answer.", content=content or UNSET)

    def _failure(self, sharers: Sequence[Served], status: int | None) -> Response | Reference:
        """Return what is answered with a status, None for any other: a component, unless APIs share the path."""
        found = [each for each in sharers if status is None or status in self._failures_of(each)]
        if len(sharers) > 1:
            return self._failure_response(found, status)
        name = f"{self._error_prefix(found[0])}{status or 'Failure'}"
        if name not in self.responses:
            self.responses[name] = self._failure_response(found, status)
        return Reference(f"#/components/responses/{name}")

    def _failure_response(self, sharers: Sequence[Served], status: int | None) -> Response:
        schema = _any_of({_title_of(each.dialect): self._error_schema(each) for each in sharers})
        if status is None:
            return Response(description="Any other failure.", content={_JSON: MediaType(schema=schema)})
        failures = [self._failures_of(each)[status] for each in sharers]
        descriptions = dict.fromkeys(failure.description for failure in failures)
        return Response(
            description=" ".join(descriptions),
            content={_JSON: MediaType(schema=schema, example=failures[0].body)},
        )

    def _error_schema(self, served: Served) -> JsonSchema:
        name = f"{self._error_prefix(served)}Error"
        return self.schemas.add(name, _shape_of(self._failures_of(served)))

    def _error_prefix(self, served: Served) -> str:
        """Return what names its errors begin with: the API's name, the route's too where they look different."""
        if _shape_of(self._failures_of(served)) == self._usual_shape(served.dialect):
            return pascal(served.dialect.name)
        return pascal(to_operation_id(served.dialect.name, served.route.method, served.route.path))

    def _usual_shape(self, dialect: Dialect) -> JsonSchema:
        """Return the form that errors have at most of an API's routes."""
        if dialect.name not in self._usual_shapes:
            shapes = [_shape_of(self._failures_of(Served(dialect, route))) for route in dialect.routes]
            self._usual_shapes[dialect.name] = max(shapes, key=shapes.count)
        return self._usual_shapes[dialect.name]

    def _failures_of(self, served: Served) -> Mapping[int, Failure]:
        key = (served.dialect.name, served.route.method, served.route.path)
        if key not in self._failures:
            self._failures[key] = failures_of(served.dialect, served.route)
        return self._failures[key]

    def _security(self, sharers: Sequence[Served]) -> tuple[Alternative, ...]:
        alternatives: list[Alternative] = []
        for each in sharers:
            for alternative in alternatives_of(each.dialect, each.route, self._open_dialects):
                if alternative not in alternatives:
                    alternatives.append(alternative)
        return tuple(alternatives)


def _shape_of(failures: Mapping[int, Failure]) -> JsonSchema:
    return error_schema(failure.body for failure in failures.values())


def _any_of(schemas: Mapping[str, JsonSchema]) -> JsonSchema:
    """Return the schema of what one of several APIs has, by their titles."""
    if len(schemas) == 1:
        return next(iter(schemas.values()))
    return {"anyOf": [{**schema, "title": title} for title, schema in schemas.items()]}


def _title_of(dialect: Dialect) -> str:
    return dialect.title or dialect.name


def _query_parameters(route: Route) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name=name, place="query", required=False, schema={"type": "string"}, description=sentence)
        for name, sentence in route.query.items()
    )


def _describe_shared(sharers: Sequence[Served]) -> str:
    if len(sharers) == 1:
        return ""
    names = " and ".join(_title_of(each.dialect) for each in sharers)
    return f"Shared by {names}; the fields of the body tell whose request it is."
