"""The description of all APIs: /openapi.json is valid and true, and /docs shows it without the network."""

import asyncio
import hashlib
import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from fakes.asking import get
from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon
from puna.api.aitextgen import convert as aitextgen
from puna.api.description import publication
from puna.api.description.document import build_document
from puna.api.description.path_template import to_template
from puna.api.description.reference import render_api_reference
from puna.api.dialect import Dialect, Route
from puna.api.encoding import encode_json
from puna.api.head import RequestHead, make_headers
from puna.api.lamini import convert as lamini
from puna.api.locallab import convert as locallab
from puna.api.modelstudio import convert as modelstudio
from puna.app import DIALECTS
from puna.config import Settings

HEAD = RequestHead(method="POST", path="/v1/completions", headers=make_headers({}))
ANSWERS_WITH_NOTHING = {"/api/copy", "/api/delete"}
"""Routes with a body whose success is the status alone."""
MODELS = {"embed": "embedder", "rerank": "reranker"}
"""The model for routes with such a word in the path; any other asks `demo`."""


class Operation(NamedTuple):
    path: str
    method: str
    content: Mapping[str, Any]

    @property
    def media(self) -> Any:
        return self.content.get("requestBody", {}).get("content", {}).get("application/json", {})

    @property
    def example(self) -> Any:
        """The one of the owner where APIs share the path, which is the first."""
        several = [each["value"] for each in self.media.get("examples", {}).values()]
        return several[0] if several else self.media.get("example")

    def response(self, status: int) -> Mapping[str, Any]:
        responses = self.content["responses"]
        found = responses.get(str(status), responses["default"])
        if "$ref" in found:
            name = found["$ref"].rpartition("/")[2]
            return described()["components"]["responses"][name]  # type: ignore[no-any-return] # it is JSON
        return found  # type: ignore[no-any-return] # it is JSON


@cache
def described(open_dialects: tuple[str, ...] = tuple(Settings().open_dialects)) -> Any:
    """Return the document as clients read it."""
    return json.loads(encode_json(build_document(DIALECTS, open_dialects)))


def operations() -> list[Operation]:
    return [
        Operation(path, method, content)
        for path, methods in described()["paths"].items()
        for method, content in methods.items()
    ]


class Served(NamedTuple):
    dialect: Dialect
    route: Route

    @property
    def operation(self) -> Any:
        return described()["paths"][to_template(self.route.path)][self.route.method.lower()]


ROUTES = [Served(dialect, route) for dialect in DIALECTS for route in dialect.routes]
each_route = pytest.mark.parametrize(
    "served", ROUTES, ids=[f"{each.dialect.name} {each.route.method} {each.route.path}" for each in ROUTES]
)


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def check_fits(value: object, schema: Mapping[str, Any]) -> None:
    """Hold a value against a schema that may refer to the document's components."""
    complete = {**schema, "components": described()["components"]}
    Draft202012Validator(complete, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def references(value: object) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
    match value:
        case dict():
            for inner in value.values():
                yield from references(inner)
        case list():
            for inner in value:
                yield from references(inner)


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(described()).validate()
    assert described()["openapi"] == "3.1.0"


@each_route
def test_every_route_is_described_under_its_api(served: Served) -> None:
    operation = served.operation
    assert served.dialect.name in operation["tags"]
    assert operation["summary"]
    in_path = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
    assert in_path == re.findall(r"{(\w+)", served.route.path)
    assert ("requestBody" in operation) is (served.route.body is not None)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    found = set(references(described()))
    for reference in found:
        at: Any = described()
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]
    for kind in ("schemas", "responses"):
        for name in described()["components"][kind]:
            assert f"#/components/{kind}/{name}" in found


def test_operations_have_names_of_their_own_that_tell_method_and_path() -> None:
    names = [operation.content["operationId"] for operation in operations()]
    assert len(names) == len(set(names))
    assert "locallab_post_generate_batch" in names
    assert "locallab_get_root" in names


def test_types_of_one_name_in_two_apis_are_two_components() -> None:
    schemas = described()["components"]["schemas"]
    assert "repetition_penalty" in schemas["LocallabGenerateBody"]["properties"]
    assert "max_length" in schemas["AitextgenGenerateBody"]["properties"]
    assert "repetition_penalty" not in schemas["AitextgenGenerateBody"]["properties"]


def test_every_api_says_what_it_is_and_whether_it_needs_a_key() -> None:
    tags = {tag["name"]: tag["description"] for tag in described()["tags"]}
    assert list(tags) == [dialect.name for dialect in DIALECTS]
    assert tags["locallab"].endswith("Needs no key on this machine.")
    assert tags["aitextgen"].endswith("Needs a key.")
    assert "admin token" in tags["control"]
    for dialect in DIALECTS:
        assert dialect.title, dialect.name
        assert dialect.summary.endswith("."), dialect.name


@pytest.mark.parametrize(
    ("path", "method", "security"),
    [
        ("/generate", "post", [{}, {"bearer": ["infer"]}, {"apiKey": ["infer"]}]),
        ("/models/load", "post", [{}, {"bearer": ["manage"]}, {"apiKey": ["manage"]}]),
        ("/v1/aitextgen/generate", "post", [{"bearer": ["infer"]}, {"apiKey": ["infer"]}]),
        ("/puna/v1/status", "get", [{"bearer": ["manage"]}, {"apiKey": ["manage"]}]),
        ("/openapi.json", "get", [{}, {"bearer": []}, {"apiKey": []}]),
    ],
)
def test_an_operation_says_which_keys_it_takes(path: str, method: str, security: object) -> None:
    assert described()["paths"][path][method]["security"] == security


def test_the_setting_decides_what_the_document_says_of_keys() -> None:
    closed, opened = described(()), described(("aitextgen",))
    assert {} not in closed["paths"]["/generate"]["post"]["security"]
    assert {} in opened["paths"]["/v1/aitextgen/generate"]["post"]["security"]
    assert closed["paths"]["/docs"]["get"]["security"][0] == {}


@pytest.mark.parametrize(
    ("schema", "field", "words"),
    [
        ("LaminiCompletionBody", "output_type", "The name of `out_type` since 2024."),
        ("LocallabGenerateBody", "raw", "Puna's own: the prompt goes to the model as it stands"),
        ("LocallabGenerateBody", "topP", "As `top_p`."),
        ("AitextgenGenerateReply", "generation_time", "Seconds."),
        ("ModelstudioJobReply", "completed_tasks", "Tasks that have ended"),
        ("ControlKey", "hint", "The first characters of the secret."),
    ],
)
def test_fields_are_described_by_the_sentences_under_them(schema: str, field: str, words: str) -> None:
    properties = described()["components"]["schemas"][schema]["properties"]
    assert properties[field]["description"].startswith(words)


@pytest.mark.parametrize(
    ("schema", "field", "default"),
    [
        ("LocallabGenerateBody", "max_length", locallab.DEFAULT_MAX_TOKENS),
        ("LocallabGenerateBody", "temperature", locallab.DEFAULT_TEMPERATURE),
        ("LocallabGenerateBody", "top_p", locallab.DEFAULT_TOP_P),
        ("LocallabGenerateBody", "top_k", locallab.DEFAULT_TOP_K),
        ("LocallabGenerateBody", "repetition_penalty", locallab.DEFAULT_REPETITION_PENALTY),
        ("AitextgenGenerateBody", "max_length", aitextgen.DEFAULT_MAX_LENGTH),
        ("AitextgenGenerateBody", "temperature", aitextgen.DEFAULT_TEMPERATURE),
        ("AitextgenGenerateBody", "top_p", aitextgen.DEFAULT_TOP_P),
        ("ModelstudioGenerateBody", "temperature", modelstudio.DEFAULT_TEMPERATURE),
        ("ModelstudioGenerateBody", "max_tokens", modelstudio.DEFAULT_MAX_TOKENS),
        ("LaminiCompletionBody", "max_tokens", lamini.DEFAULT_NEW_TOKENS),
    ],
)
def test_the_defaults_that_sentences_name_are_those_that_hold(
    schema: str, field: str, default: float
) -> None:
    description = described()["components"]["schemas"][schema]["properties"][field]["description"]
    assert re.search(rf"Absent: {re.escape(str(default))}[.,]", description)


@each_route
def test_a_route_that_reads_json_says_what_it_answers(served: Served) -> None:
    route = served.route
    if route.body is not None and route.path not in ANSWERS_WITH_NOTHING:
        assert route.reply is not None or route.stream_type is not None


@each_route
def test_the_example_of_a_request_fits_its_schema_and_is_understood(served: Served) -> None:
    if served.route.body is None:
        return
    media = served.operation["requestBody"]["content"]["application/json"]
    examples = media.get("examples", {served.dialect.name: {"value": media.get("example")}})
    example = examples[served.dialect.name]["value"]
    check_fits(example, media["schema"])
    served.route.body.parse(encode_json(example))
    if served.route.claims is not None:
        assert served.route.claims(HEAD, example), "the example is taken for another API's"


async def test_whatever_is_answered_has_the_form_that_is_described(daemon: RunningDaemon) -> None:
    organisation_id = daemon.services.keys.default_organisation.id
    async with daemon.client(Authorization=f"Bearer {ADMIN_TOKEN}") as client:
        answered = {
            named(operation): await ask(client, operation, organisation_id) for operation in operations()
        }
    generating = [
        f"{each.route.method.lower()} {to_template(each.route.path)}"
        for each in ROUTES
        if each.route.generates
    ]
    assert {name: answered[name] for name in generating} == dict.fromkeys(generating, 200)
    assert {answered["get /system/info"], answered["get /docs"]} == {200}
    assert answered["post /puna/v1/keys"] == 201
    # The scripted models have no files that could be trained on.
    assert answered.pop("post /v1/aitextgen/finetune") == 500
    # 503: the Hub is offline here.
    assert {status for status in answered.values() if status >= 500} <= {501, 503}


async def ask(client: aiohttp.ClientSession, operation: Operation, organisation_id: str) -> int:
    """Send the example, hold the answer against the schema of its status, and return the status."""
    path = re.sub(r"{\w+}", "demo", operation.path.replace("{organisation_id}", organisation_id))
    async with client.request(operation.method, path, json=_fitting(operation)) as answer:
        content = operation.response(answer.status).get("content", {})
        body = await answer.read()
        if answer.content_type == "application/json" and body:
            assert "application/json" in content, f"{named(operation)} answers with JSON: {body!r}"
            check_fits(json.loads(body), content["application/json"]["schema"])
        elif content and body:
            assert answer.content_type in content, named(operation)
        return answer.status


def _fitting(operation: Operation) -> Any:
    """Return the example, with a model that can do what the path asks for."""
    for word, model in MODELS.items():
        if word in operation.path and isinstance(operation.example, dict):
            field = "model_name" if "model_name" in operation.example else "model"
            return {**operation.example, field: model}
    return operation.example


@pytest.mark.parametrize("operation", [each for each in operations() if each.example], ids=named)
async def test_a_failure_has_the_form_that_is_described(daemon: RunningDaemon, operation: Operation) -> None:
    path = operation.path.replace("{organisation_id}", daemon.services.keys.default_organisation.id)
    path = re.sub(r"\{\w+\}", "ft_model_0123456789ab", path)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        daemon.client() as client,
        client.request(operation.method, path, json=[], headers=headers) as answer,
    ):
        assert answer.status == 400
        schema = operation.response(400)["content"]["application/json"]["schema"]
        check_fits(await answer.json(), schema)


@each_route
def test_streams_are_described_by_their_content_type(served: Served) -> None:
    route = served.route
    content = served.operation["responses"][str(route.status)].get("content", {})
    if route.stream_type is not None:
        assert route.stream_type.partition(";")[0] in content
    if route.reply is not None:
        assert "application/json" in content


async def test_the_document_is_served_as_ascii_and_asks_for_no_key(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    async with client.get("/openapi.json") as answer:
        body = await answer.read()
        assert (answer.status, answer.content_type) == (200, "application/json")
    assert body.isascii()
    assert json.loads(body) == described()
    assert daemon.services.activity.request_count == 0


async def test_the_description_is_made_once_and_off_the_event_loop(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def note_thread(*arguments: Any) -> publication.Publication:
        threads.append(threading.current_thread())
        return real(*arguments)

    real = publication.publish
    monkeypatch.setattr(publication, "publish", note_thread)
    await asyncio.gather(read_page(client), read_page(client), get(client, "/openapi.json"))
    [thread] = threads
    assert thread is not threading.main_thread()


async def read_page(client: aiohttp.ClientSession) -> tuple[str, str]:
    """Return the page and its policy."""
    async with client.get("/docs") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        return await answer.text(), answer.headers["Content-Security-Policy"]


async def test_the_page_shows_every_operation_and_field(client: aiohttp.ClientSession) -> None:
    page, _ = await read_page(client)
    for operation in operations():
        assert f'id="{operation.content["operationId"]}"' in page
        assert f'<code class="path">{operation.path}</code>' in page
    assert "<code>messages[].role</code>" in page
    assert "whole number from 1 to 32000" in page


async def test_the_page_loads_nothing(client: aiohttp.ClientSession) -> None:
    page, _ = await read_page(client)
    targets = re.findall(r"""(?:src|href|action|srcset)\s*=\s*["']([^"']*)""", page)
    outside = [target for target in targets if not target.startswith("#")]
    assert set(outside) == {"data:,", "/openapi.json"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", page)
    addresses = set(re.findall(r"https?://[^\s\"'<\\/:&;]+", page))
    assert addresses <= {"http://localhost"}


async def test_the_page_s_policy_allows_its_own_style_and_script_and_nothing_else(
    client: aiohttp.ClientSession,
) -> None:
    page, policy = await read_page(client)
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == directives["base-uri"] == directives["form-action"] == "'none'"
    for element in ("style", "script"):
        [inside] = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert directives[f"{element}-src"] == f"'sha256-{digest}'"
    assert not re.search(r"\s(?:style|on\w+)=", page)


async def test_the_examples_ask_the_port_that_the_page_came_from(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    page, _ = await read_page(client)
    assert f"curl {'http'}://localhost:{daemon.port}/generate" in page


def test_the_reference_names_every_route_and_its_fields() -> None:
    text = render_api_reference(DIALECTS)
    for _, route in ROUTES:
        assert f"| `{route.method} {to_template(route.path)}` |" in text
    assert "| **`messages[].role`** |" in text
