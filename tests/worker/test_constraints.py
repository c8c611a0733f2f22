"""Texts that must have a form, with the demo model: always valid, forced tokens without sampling, limits kept."""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fakes.tiny_models import write_sentencepiece_model
from puna.domain.constraint import Constraint, JsonSchemaConstraint, LarkConstraint, RegexConstraint
from puna.domain.generation import (
    Completion,
    Finished,
    FinishReason,
    GenerationRequest,
    Sampling,
    TextDelta,
    TextPrompt,
)
from puna.domain.models import ModelEntry
from puna.engine.remote import RemoteWorker
from puna.errors import GenerationError, InvalidRequestError, PunaError

PROMPTS = (
    "Extract name, age and city as JSON: Anna is 31 years old and lives in Lima.",
    "How old is Carl, the llama with a hat?",
    "Once upon a time",
    'Ünïcödé 🦙 { } [ ] " \\',
    "1 2 3 4 5 6 7",
)
TYPES = ("str", "int", "float", "bool", "enum")


def request(
    constraint: Constraint, *, prompt: str = PROMPTS[0], max_tokens: int | None = 400, seed: int = 1
) -> GenerationRequest:
    return GenerationRequest(
        prompt=TextPrompt(prompt),
        sampling=Sampling(temperature=1.0, top_k=80, seed=seed),
        max_tokens=max_tokens,
        constraint=constraint,
    )


async def complete(worker: RemoteWorker, wanted: GenerationRequest) -> Completion:
    parts: list[str] = []
    async for event in worker.generate(wanted):
        match event:
            case TextDelta(text):
                parts.append(text)
            case Finished():
                return Completion("".join(parts), event)
    raise AssertionError("no last event")


def schema_of(fields: dict[str, object]) -> JsonSchemaConstraint:
    schema = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return JsonSchemaConstraint(json.dumps(schema))


def random_fields(rng: random.Random) -> dict[str, object]:
    def field(kind: str) -> dict[str, object]:
        match kind:
            case "str":
                return {"type": "string", "maxLength": rng.choice([5, 20, 60])}
            case "int":
                return {"type": "integer", "minimum": -1000, "maximum": 100_000}
            case "float":
                return {"type": "number", "minimum": 0, "maximum": 1000}
            case "bool":
                return {"type": "boolean"}
            case _:
                return {"enum": ["A", "b c", 3, True]}

    names = [
        f"key {i}" if rng.random() < 0.2 else f"{rng.choice('abcxyzé')}{i}" for i in range(rng.randint(1, 5))
    ]
    return {name: field(rng.choice(TYPES)) for name in names}


def is_valid(value: object, field: dict[str, object]) -> bool:
    match field:
        case {"enum": list(options)}:
            return any(value == option and type(value) is type(option) for option in options)
        case {"type": "string", "maxLength": int(limit)}:
            return isinstance(value, str) and len(value) <= limit
        case {"type": "integer"}:
            return type(value) is int and -1000 <= value <= 100_000
        case {"type": "number"}:
            return type(value) in (int, float) and 0 <= float(str(value)) <= 1000
        case _:
            return isinstance(value, bool)


async def test_200_random_schemas_with_5_prompts_each_give_a_valid_object_every_time(
    worker: RemoteWorker,
) -> None:
    rng = random.Random(42)

    async def check(fields: dict[str, object], prompt: str, seed: int) -> None:
        answer = await complete(worker, request(schema_of(fields), prompt=prompt, seed=seed))
        value = json.loads(answer.text)
        assert list(value) == list(fields)
        for name, field in fields.items():
            assert isinstance(field, dict)
            assert is_valid(value[name], field), (name, field, value)
        assert answer.finished.reason is FinishReason.STOP

    for i in range(200):
        fields = random_fields(rng)
        await asyncio.gather(*(check(fields, prompt, i) for prompt in PROMPTS))


async def test_forced_tokens_are_not_sampled(worker: RemoteWorker) -> None:
    fields: dict[str, object] = {
        "a_rather_long_key_that_is_forced": {"type": "boolean"},
        "b": {"enum": ["only"]},
    }
    answer = await complete(worker, request(schema_of(fields)))
    assert set(json.loads(answer.text)) == set(fields)
    async with asyncio.timeout(60):
        while worker.status.busy_slots:
            await asyncio.sleep(0.01)
    assert answer.finished.usage.completion_tokens >= 15
    assert worker.status.steps <= answer.finished.usage.completion_tokens // 2


async def test_a_text_that_is_forced_whole_needs_no_sampling(worker: RemoteWorker) -> None:
    answer = await complete(worker, request(RegexConstraint("exactly this")))
    assert answer.text == "exactly this"
    assert answer.finished.reason is FinishReason.STOP


async def test_a_regular_expression_is_matched_whole(worker: RemoteWorker) -> None:
    answer = await complete(worker, request(RegexConstraint(r"[a-f]{3}-[0-9]{4}")))
    assert re.fullmatch(r"[a-f]{3}-[0-9]{4}", answer.text)


async def test_a_grammar_is_kept(worker: RemoteWorker) -> None:
    grammar = 'start: animal " and " animal\nanimal: "llama" | "alpaca" | "vicuña"\n'
    answer = await complete(worker, request(LarkConstraint(grammar)))
    assert re.fullmatch(r"(llama|alpaca|vicuña) and (llama|alpaca|vicuña)", answer.text)


async def test_any_json_object_is_one(worker: RemoteWorker) -> None:
    constraint = JsonSchemaConstraint('{"type": "object"}')
    answers = await asyncio.gather(*(complete(worker, request(constraint, seed=seed)) for seed in range(8)))
    assert all(isinstance(json.loads(answer.text), dict) for answer in answers)


async def test_schemas_as_libraries_write_them_are_kept(worker: RemoteWorker) -> None:
    def pet(kind: str, **properties: object) -> dict[str, object]:
        """Return a model of a union with a discriminator, as pydantic describes it."""
        named = {"kind": {"const": kind, "type": "string"}, **properties}
        return {"type": "object", "title": kind, "properties": named, "required": list(named)}

    kinds = [pet("cat", lives={"type": "integer", "format": "int32"}), pet("dog", name={"type": "string"})]
    union = {"oneOf": kinds, "discriminator": {"propertyName": "kind"}}
    secret = {"type": "string", "format": "password", "maxLength": 5, "writeOnly": True}
    record = {
        "type": "object",
        "propertyNames": {"type": "string"},
        "additionalProperties": {"enum": [1]},
        "maxProperties": 2,
    }
    schema = {
        "type": "object",
        "properties": {"pet": union, "secret": secret, "record": record, "format": {"const": "int64"}},
        "required": ["pet", "secret", "record", "format"],
        "additionalProperties": False,
    }
    answer = json.loads((await complete(worker, request(JsonSchemaConstraint(json.dumps(schema))))).text)
    assert answer["format"] == "int64"
    assert {"kind", "lives" if answer["pet"]["kind"] == "cat" else "name"} <= set(answer["pet"])
    assert len(answer["secret"]) <= 5
    assert set(answer["record"].values()) <= {1}


@pytest.mark.parametrize("max_tokens", [30, 60, 120])
async def test_near_its_limit_an_object_is_closed_validly(worker: RemoteWorker, max_tokens: int) -> None:
    fields: dict[str, object] = {
        "story": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    }
    wanted = [request(schema_of(fields), max_tokens=max_tokens, seed=seed) for seed in range(8)]
    for answer in await asyncio.gather(*(complete(worker, one) for one in wanted)):
        assert list(json.loads(answer.text)) == ["story", "tags"]
        assert answer.finished.usage.completion_tokens <= max_tokens


async def test_a_schema_with_much_to_say_about_its_fields_leaves_them_room(worker: RemoteWorker) -> None:
    fields: dict[str, object] = {
        "story": {"type": "string", "minLength": 30, "description": "What happened to the llama. " * 60},
        "moral": {"type": "string", "title": "Moral", "examples": ["Be kind. " * 40]},
    }
    plain: dict[str, object] = {"story": {"type": "string", "minLength": 30}, "moral": {"type": "string"}}
    told, silent = await asyncio.gather(
        *(complete(worker, request(schema_of(each), max_tokens=90)) for each in (fields, plain))
    )
    assert told.text == silent.text
    assert told.finished.usage.completion_tokens > 40


async def test_a_text_that_cannot_be_completed_fails_clearly(worker: RemoteWorker) -> None:
    with pytest.raises(GenerationError, match="did not reach the end of its format within 10 tokens"):
        await complete(worker, request(RegexConstraint("[a-z]{400}"), max_tokens=10))
    assert worker.is_alive


async def test_constrained_and_free_texts_run_side_by_side(worker: RemoteWorker) -> None:
    free = GenerationRequest(prompt=TextPrompt(PROMPTS[2]), max_tokens=60, sampling=Sampling(temperature=0))
    alone = await complete(worker, free)
    typed = request(schema_of({"age": {"type": "integer", "minimum": 0, "maximum": 99}}))
    both = await asyncio.gather(complete(worker, free), complete(worker, typed), complete(worker, typed))
    assert both[0].text[:20] == alone.text[:20]
    assert both[1].text == both[2].text
    assert 0 <= json.loads(both[1].text)["age"] <= 99


@pytest.mark.parametrize(
    "constraint",
    [
        JsonSchemaConstraint("not json"),
        JsonSchemaConstraint("[1]"),
        JsonSchemaConstraint('{"type": "nonsense"}'),
        JsonSchemaConstraint('{"type":"string","x":"' + "y" * 1_100_000 + '"}'),
        JsonSchemaConstraint('{"a":' * 60 + "1" + "}" * 60),
        JsonSchemaConstraint("[" * 100_000),
        JsonSchemaConstraint('{"$ref": "#/definitions/missing"}'),
        RegexConstraint("(unclosed"),
        RegexConstraint("(" * 5000),
        RegexConstraint("x" * 10_000),
        LarkConstraint("start: missing"),
        LarkConstraint("start: start start"),
        LarkConstraint('start: "a"' + ' | "b"' * 20_000),
    ],
    ids=lambda constraint: repr(constraint)[:40],
)
async def test_a_hostile_format_is_refused_and_the_worker_goes_on(
    worker: RemoteWorker, constraint: Constraint
) -> None:
    with pytest.raises(PunaError) as caught:
        await complete(worker, request(constraint, max_tokens=5))
    assert isinstance(caught.value, InvalidRequestError | GenerationError)
    assert len(caught.value.message) < 500
    assert (await complete(worker, request(RegexConstraint("ok")))).text == "ok"


@pytest.mark.parametrize(
    ("constraint", "reason"),
    [
        (JsonSchemaConstraint('{"$ref": "#"}'), "no text can fulfil it"),
        (LarkConstraint("start: start"), "no text can fulfil it"),
        (RegexConstraint("(unclosed"), "unclosed group"),
        (JsonSchemaConstraint('{"type": "string", "pattern": "(?=a)b"}'), "look-around"),
        (
            JsonSchemaConstraint('{"type": "array", "uniqueItems": true, "contains": {"const": 1}}'),
            "no text can be held to (uniqueItems and contains|contains and uniqueItems); leave it out",
        ),
    ],
)
async def test_a_refused_format_says_why(worker: RemoteWorker, constraint: Constraint, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        await complete(worker, request(constraint, max_tokens=5))
    assert caught.value.message.startswith("The format cannot be used: ")


async def test_a_regular_expression_that_explodes_stays_bounded(worker: RemoteWorker) -> None:
    answers = await asyncio.gather(
        complete(worker, request(RegexConstraint("((((a{1,99}){1,99}){1,99}){1,99}){1,99}"), max_tokens=50)),
        complete(worker, request(RegexConstraint("ok"))),
        return_exceptions=True,
    )
    assert isinstance(answers[0], Completion | PunaError)
    assert isinstance(answers[1], Completion)


async def test_a_sentencepiece_vocabulary_gives_valid_objects_too(
    start_worker: Callable[..., Awaitable[RemoteWorker]], tmp_path: Path
) -> None:
    path = write_sentencepiece_model(tmp_path / "tiny.gguf")
    worker = await start_worker(ModelEntry(id="tiny", name="tiny", path=path, size_bytes=path.stat().st_size))
    rng = random.Random(7)
    for seed in range(20):
        fields = random_fields(rng)
        wanted = [request(schema_of(fields), prompt=prompt, max_tokens=300, seed=seed) for prompt in PROMPTS]
        for answer in await asyncio.gather(*(complete(worker, one) for one in wanted)):
            value = json.loads(answer.text)
            assert list(value) == list(fields)
            assert all(is_valid(value[name], dict(field)) for name, field in fields.items())  # type: ignore[call-overload]  # each field is a dict
