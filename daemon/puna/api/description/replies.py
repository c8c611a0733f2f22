"""An OpenAPI 3.1 document, as far as Puna's has its parts. Names are those of the specification."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType, field

JsonSchema = Mapping[str, object]
"""A JSON schema of the draft 2020-12, which OpenAPI 3.1 uses."""


class Reference(Struct, frozen=True):
    """Stands for a component."""

    ref: str = field(name="$ref")


class Example(Struct, frozen=True):
    """One of several."""

    value: object


class MediaType(Struct, frozen=True, kw_only=True):
    """A body of one content type."""

    schema: JsonSchema
    example: object = UNSET
    examples: Mapping[str, Example] | UnsetType = UNSET
    """Instead of `example` where several APIs share a path: one of each, by its name."""


class RequestBody(Struct, frozen=True, kw_only=True):
    """What an operation reads."""

    content: Mapping[str, MediaType]
    required: bool = True


class Response(Struct, frozen=True, kw_only=True):
    """What an operation answers with one status."""

    description: str
    content: Mapping[str, MediaType] | UnsetType = UNSET


class Parameter(Struct, frozen=True, kw_only=True):
    """A part of the path or of the query."""

    name: str
    place: str = field(name="in")
    required: bool
    description: str | UnsetType = UNSET
    schema: JsonSchema


class Operation(Struct, frozen=True, kw_only=True, rename="camel"):
    """One method of one path."""

    operation_id: str
    tags: tuple[str, ...]
    summary: str
    description: str | UnsetType = UNSET
    parameters: tuple[Parameter, ...] | UnsetType = UNSET
    request_body: RequestBody | UnsetType = UNSET
    responses: Mapping[str, Response | Reference]
    security: tuple[Mapping[str, tuple[str, ...]], ...]
    """Alternatives; an empty one is nothing at all."""


class SecurityScheme(Struct, frozen=True, kw_only=True):
    """A place for a key."""

    type: str
    description: str
    scheme: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    place: str | UnsetType = field(default=UNSET, name="in")


class Components(Struct, frozen=True, kw_only=True, rename="camel"):
    """What references point to."""

    schemas: Mapping[str, JsonSchema]
    responses: Mapping[str, Response]
    security_schemes: Mapping[str, SecurityScheme]


class Tag(Struct, frozen=True):
    """One API."""

    name: str
    description: str
    title: str = field(name="x-displayName")


class License(Struct, frozen=True):
    """Under which the daemon is given away."""

    name: str
    identifier: str


class Info(Struct, frozen=True, kw_only=True):
    """What is described."""

    title: str
    version: str
    summary: str
    license: License


class Server(Struct, frozen=True):
    """Where it is."""

    url: str


class Document(Struct, frozen=True, kw_only=True):
    """All of it."""

    openapi: str = "3.1.0"
    info: Info
    servers: tuple[Server, ...]
    tags: tuple[Tag, ...]
    paths: Mapping[str, Mapping[str, Operation]]
    """By path, then by method in lower case."""
    components: Components
