"""The real `lamini` client from PyPI against the running daemon: typed, lists, streams, batches, pipelines."""

import asyncio
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

import puna
from fakes.running_daemon import RunningDaemon
from fakes.scripted_model import Script, text_of
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.domain.generation import FinishReason, GenerationRequest
from puna.errors import ContextOverflowError, GenerationTimeoutError, OverloadedError, WorkerDiedError

CARL = "How old is Carl, the llama with a hat?"
PAUL = "How old is Paul, the llama with a hat?"
OUTPUT_TYPE = {"age": "int", "units": "str"}
OBJECT = {"age": 10, "units": "years"}
_Result = TypeVar("_Result")


def answer(request: GenerationRequest) -> Script:
    """Return an object where one is asked for, else an echo."""
    return Script(
        deltas=('{"age":10,', '"units":"years"}') if request.constraint else ("re: ", text_of(request))
    )


async def call(function: Callable[..., _Result], *arguments: Any, **options: Any) -> _Result:
    return await asyncio.to_thread(function, *arguments, **options)


@pytest.fixture
def lamini(daemon: RunningDaemon, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package, which reads no settings of this machine's user and warns anew in each test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    package = importlib.import_module("lamini")
    monkeypatch.setattr(package, "api_key", key)
    monkeypatch.setattr(package, "api_url", daemon.url)
    monkeypatch.setattr(importlib.import_module("lamini.api.rest_requests"), "warn_once", False)
    daemon.launcher.script = answer
    return package


@pytest.fixture
def llm(lamini: Any) -> Any:
    return lamini.Lamini(model_name="demo")


@pytest.fixture
def errors() -> Any:
    return importlib.import_module("lamini.error.error")


async def test_a_prompt(daemon: RunningDaemon, llm: Any) -> None:
    assert await call(llm.generate, CARL, max_new_tokens=33) == f"re: {CARL}"
    assert daemon.worker.requests[0].max_tokens == 33


async def test_a_list_of_prompts(llm: Any) -> None:
    prompts = [f"prompt {number}" for number in range(20)]
    assert await call(llm.generate, prompts) == [f"re: {prompt}" for prompt in prompts]


async def test_a_typed_prompt(llm: Any) -> None:
    result = await call(llm.generate, CARL, output_type=OUTPUT_TYPE)
    assert result == OBJECT
    assert list(result) == list(OUTPUT_TYPE)


async def test_a_typed_list(llm: Any) -> None:
    assert await call(llm.generate, [CARL, PAUL], output_type=OUTPUT_TYPE) == [OBJECT, OBJECT]


async def test_every_text_arrives_as_it_is(daemon: RunningDaemon, llm: Any) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    assert await call(llm.generate, CARL) == TRAP_TEXT


async def test_the_async_completion(lamini: Any) -> None:
    completion = importlib.import_module("lamini.api.utils.completion").Completion(None, None)
    request = completion.make_llm_req_map("demo", [CARL], output_type=OUTPUT_TYPE)
    assert await completion.async_generate(request) == [OBJECT]


async def test_a_text_that_was_cut_is_told_once(
    daemon: RunningDaemon, llm: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.launcher.script = Script(reason=FinishReason.LENGTH)
    for _ in range(2):
        await call(llm.generate, CARL)
    assert capsys.readouterr().out == "1 of 1 texts were cut at their limit; max_new_tokens sets it.\n"


async def test_a_stream(daemon: RunningDaemon, lamini: Any) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    stream = await call(lamini.StreamingCompletion().create, CARL, "demo", polling_interval=0)
    results: list[Any] = await call(list, stream)
    assert results[-1] == {"outputs": [{"output": TRAP_TEXT}], "finish_reason": ["stop"]}


async def test_an_async_stream(lamini: Any) -> None:
    stream = await lamini.StreamingCompletion().async_create(CARL, "demo", polling_interval=0)
    results = [result async for result in stream]
    assert results[-1] == {"outputs": [{"output": f"re: {CARL}"}], "finish_reason": ["stop"]}


@pytest.mark.parametrize("output_type", [None, OUTPUT_TYPE])
async def test_a_batch(lamini: Any, output_type: dict[str, str] | None) -> None:
    batches = importlib.import_module("lamini.api.utils.batch_completions").BatchCompletions()
    expected = [OBJECT, OBJECT] if output_type else [{"output": f"re: {prompt}"} for prompt in (CARL, PAUL)]
    parts = await call(
        batches.streaming_generate, [CARL, PAUL], "demo", output_type=output_type, polling_interval=0
    )
    results: list[Any] = await call(list, parts)
    assert [part["output"] for part in results] == expected
    later = await batches.async_streaming_generate(
        [CARL, PAUL], "demo", output_type=output_type, polling_interval=0
    )
    assert [part["output"] async for part in later] == expected


async def test_a_pipeline(lamini: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = importlib.import_module("lamini.api.pipeline_client")
    monkeypatch.setattr(client, "asyncio", SimpleNamespace(sleep=lambda _: asyncio.sleep(0.001)))

    class Pipeline(lamini.GenerationPipeline):  # type: ignore[misc] # the package has no types
        def __init__(self) -> None:
            super().__init__()
            self.node = lamini.GenerationNode("demo", max_new_tokens=9)

        def forward(self, prompts: Any) -> Any:
            return self.node(prompts, output_type=OUTPUT_TYPE)

    prompts = (lamini.PromptObject(f"prompt {number}") for number in range(12))
    done = {each.prompt: each.response async for each in Pipeline().call(prompts)}
    assert done == {f"prompt {number}": OBJECT for number in range(12)}


async def test_version(lamini: Any, llm: Any) -> None:
    answer = await call(llm.version)
    assert (answer["server"], answer["client"]) == (puna.__version__, lamini.__version__)
    versions = await call(importlib.import_module("lamini.api.versions").APIVersion)
    assert versions.features_to_api_versions["completions"] == {1, 2}


async def test_a_reservation(lamini: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lamini, "bypass_reservation", False)
    reservations = importlib.import_module("lamini.api.utils.reservations").Reservations()
    await call(reservations.initialize_reservation, 9, "demo", 5, None)
    assert reservations.current_reservation is not None
    assert (reservations.capacity_remaining, reservations.dynamic_max_batch_size) == (9, 5)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
async def test_a_reservation_begins_at_once(lamini: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lamini, "bypass_reservation", False)
    reservations = importlib.import_module("lamini.api.utils.reservations").Reservations()
    await call(reservations.initialize_reservation, 9, "demo", 5, None)
    await reservations.async_pause_for_reservation_start()


async def test_errors_become_the_exceptions_of_the_client(
    daemon: RunningDaemon, lamini: Any, llm: Any, errors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.ModelNotFoundError, match="There is no model nope; the nearest is demo"):
        await call(llm.generate, CARL, model_name="nope")
    with pytest.raises(errors.UserError, match=r"`output_type.when` must be str, int, float, bool"):
        await call(llm.generate, CARL, output_type={"when": "date"})
    with pytest.raises(errors.AuthenticationError):
        await call(lamini.Lamini("demo", api_key="wrong").generate, CARL)
    failures = {
        ContextOverflowError("The prompt has 3000 tokens."): errors.UserError,
        OverloadedError("256 requests wait already."): errors.UnavailableResourceError,
        GenerationTimeoutError("Nothing came for 600 s."): errors.RequestTimeoutError,
        WorkerDiedError("The worker was killed."): errors.APIError,
    }
    for failure, expected in failures.items():
        daemon.launcher.script = Script(deltas=(), failure=failure)
        with pytest.raises(expected, match=failure.message):
            await call(llm.generate, CARL)


async def test_errors_of_streams_and_batches_reach_the_caller(
    daemon: RunningDaemon, lamini: Any, errors: Any
) -> None:
    with pytest.raises(errors.ModelNotFoundError, match="There is no model nope"):
        await call(lamini.StreamingCompletion().create, CARL, "nope")
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    stream = await call(lamini.StreamingCompletion().create, CARL, "demo", polling_interval=0)
    with pytest.raises(errors.APIError, match="killed by signal 9"):
        await call(list, stream)
    batches = importlib.import_module("lamini.api.utils.batch_completions").BatchCompletions()
    parts = await call(batches.streaming_generate, [CARL], "demo", polling_interval=0)
    with pytest.raises(errors.APIError, match="killed by signal 9"):
        await call(list, parts)


async def test_embeddings(daemon: RunningDaemon, lamini: Any) -> None:
    client = importlib.import_module("lamini.api.embedding").Embedding("embedder")
    single = await call(client.generate, "Hi")
    assert single.tolist() == [[2.0, float(ord("H")), 0.0, 0.0]]
    both = await call(client.generate, ["Hi", "there"])
    assert [each.tolist()[0][0] for each in both] == [2.0, 5.0]
    assert [(each.is_normalised, each.is_truncated) for each in daemon.worker.embedded] == [(True, False)] * 2


async def test_embeddings_need_an_embedding_model_and_a_text(lamini: Any, errors: Any) -> None:
    module = importlib.import_module("lamini.api.embedding")
    with pytest.raises(errors.UserError, match="demo is a text model"):
        await call(module.Embedding("demo").generate, "Hi")
    with pytest.raises(errors.ModelNotFoundError, match="There is no model nope"):
        await call(module.Embedding("nope").generate, "Hi")
    for prompt in ("", [], [""]):
        with pytest.raises(errors.UserError, match="`prompt"):
            await call(module.Embedding("embedder").generate, prompt)
