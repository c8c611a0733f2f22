"""The OpenAPI 3.1 document of all APIs, from their routes and the types that these read and write. Pure."""

from collections.abc import Collection, Mapping, Sequence

import puna
from puna.api.description.operations import Operations, Served
from puna.api.description.path_template import to_template
from puna.api.description.replies import Components, Document, Info, License, Operation, Server, Tag
from puna.api.description.security import SCHEMES, describe_access
from puna.api.dialect import Dialect

_SUMMARY = "Language models on this machine, behind the APIs that programs already speak."


def build_document(dialects: Sequence[Dialect], open_dialects: Collection[str]) -> Document:
    """Return the description; `open_dialects` is the setting. Takes a moment: call it off the event loop."""
    operations = Operations(open_dialects)
    paths: dict[str, dict[str, Operation]] = {}
    for (path, method), sharers in _collect(dialects).items():
        paths.setdefault(path, {})[method] = operations.describe(sharers)
    return Document(
        info=Info(
            title="Puna", version=puna.__version__, summary=_SUMMARY, license=License("MIT License", "MIT")
        ),
        servers=(Server("/"),),
        tags=tuple(_to_tag(dialect, open_dialects) for dialect in dialects),
        paths=paths,
        components=Components(
            schemas=operations.schemas.components,
            responses=operations.responses,
            security_schemes=SCHEMES,
        ),
    )


def _collect(dialects: Sequence[Dialect]) -> Mapping[tuple[str, str], list[Served]]:
    """Return who serves each path and method, the owner of a shared one first."""
    served: dict[tuple[str, str], list[Served]] = {}
    for dialect in dialects:
        for route in dialect.routes:
            place = (to_template(route.path), route.method.lower())
            served.setdefault(place, []).append(Served(dialect, route))
    for sharers in served.values():
        sharers.sort(key=lambda each: each.route.claims is not None)
    return served


def _to_tag(dialect: Dialect, open_dialects: Collection[str]) -> Tag:
    sentences = (dialect.summary, describe_access(dialect, open_dialects))
    return Tag(dialect.name, " ".join(filter(None, sentences)), dialect.title or dialect.name)
