"""The real `locallab-client` from PyPI, sync and async, every method, against the running daemon."""

import asyncio
import importlib
import threading
import warnings
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from fakes.locallab_readers import chat_text
from fakes.running_daemon import MODELS, RunningDaemon, until
from fakes.scripted_model import Script, text_of
from fakes.trap_text import TRAP
from puna.domain.generation import GenerationRequest, Sampling
from puna.errors import GenerationTimeoutError, ModelLoadError, WorkerDiedError

HEARD = "Hello world 42\\nError: not really a\\nb c\\nd [DONE] end. \\n"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


class Client(Protocol):
    """Both clients behind one way to call them."""

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any: ...

    async def items(self, method: str, *arguments: Any, **options: Any) -> list[Any]: ...


class AsyncClient:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return await getattr(self._client, method)(*arguments, **options)

    async def items(self, method: str, *arguments: Any, **options: Any) -> list[Any]:
        return [item async for item in getattr(self._client, method)(*arguments, **options)]


class SyncClient:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return await asyncio.to_thread(getattr(self._client, method), *arguments, **options)

    async def items(self, method: str, *arguments: Any, **options: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(getattr(self._client, method)(*arguments, **options)))


@pytest.fixture
async def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, imported in a running loop, which it needs from Python 3.14 on, and without its thread and its loop.

    On import it starts a thread that never ends and closes what it never registers.
    """
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(threading.Thread, "start", lambda _: None)
        package = importlib.import_module("locallab_client")
    importlib.import_module("locallab_client.client")._event_loop.close()
    return package


@pytest.fixture(params=["async", "sync"])
async def client(
    request: pytest.FixtureRequest, library: Any, daemon: RunningDaemon
) -> AsyncIterator[Client]:
    if request.param == "async":
        real = library.LocalLabClient(daemon.url)
        yield AsyncClient(real)
        await real.close()
    else:
        with library.SyncLocalLabClient(daemon.url) as real:
            yield SyncClient(real)


def last_request(daemon: RunningDaemon) -> GenerationRequest:
    return daemon.worker.requests[-1]


async def test_generate(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    assert await client.call("generate", "Once") == "".join(TRAP)
    assert text_of(last_request(daemon)) == "Once"
    expected = Sampling(temperature=0.7, top_p=0.9, top_k=80, repetition_penalty=1.15)
    assert last_request(daemon).sampling == expected


async def test_generate_with_every_option(daemon: RunningDaemon, client: Client) -> None:
    options = {"temperature": 0.2, "top_p": 0.5, "top_k": 7, "repetition_penalty": 1.5, "max_length": 33}
    await client.call("generate", "Once", model_id="org/model", do_sample=False, max_time=1.5, **options)
    request = last_request(daemon)
    assert request.sampling == Sampling(temperature=0, top_p=0.5, top_k=7, repetition_penalty=1.5)
    assert (request.max_tokens, request.max_time_s) == (33, 1.5)
    assert (await client.call("get_current_model"))["id"] == "org/model"


async def test_stream_generate(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    assert "".join(await client.items("stream_generate", "Once")) == HEARD


async def test_chat(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    answer = await client.call("chat", MESSAGES)
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "".join(TRAP)}
    assert answer["usage"]["total_tokens"] == 5 + len(TRAP)


async def test_stream_chat_gives_the_exact_text(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    assert chat_text(await client.items("stream_chat", MESSAGES)) == "".join(TRAP)


async def test_batch_generate(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.script = lambda request: Script(deltas=("re: ", text_of(request)))
    answer = await client.call("batch_generate", ["a", "b", "c"])
    assert answer["responses"] == ["re: a", "re: b", "re: c"]


async def test_load_and_unload(client: Client) -> None:
    assert await client.call("load_model", "other") is True
    assert await client.call("load_model", "other") is True
    assert (await client.call("get_current_model"))["id"] == "other"
    assert await client.call("unload_model") is True
    assert await client.call("unload_model") is False
    with pytest.raises(Exception, match="No model currently loaded"):
        await client.call("get_current_model")


async def test_list_models(client: Client) -> None:
    assert [model["id"] for model in await client.call("list_models")] == list(MODELS)


async def test_health_check(client: Client) -> None:
    assert await client.call("health_check") is True


async def test_system_info_fits_the_client_s_own_type(library: Any, client: Client) -> None:
    info = await client.call("get_system_info")
    parsed = importlib.import_module("locallab_client.client").SystemInfo(**info)
    assert parsed.request_count == 1


async def test_errors_reach_the_caller_with_their_message(client: Client) -> None:
    with pytest.raises(Exception, match="There is no model nope"):
        await client.call("load_model", "nope")
    with pytest.raises(Exception, match="`temperature` must be a number from 0 to 2"):
        await client.call("generate", "Once", temperature=3)
    [told] = await client.items("stream_generate", "Once", temperature=3)
    assert told.startswith("\nError: Streaming failed: ")
    [told] = await client.items("stream_chat", [])
    assert "`messages` must be" in told["error"]


async def test_a_failed_load_is_told(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.broken["other"] = ModelLoadError("other.gguf is not a GGUF file.").message
    with pytest.raises(Exception, match="is not a GGUF file"):
        await client.call("load_model", "other")


async def test_a_worker_that_dies_in_mid_stream_is_told(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    *text, told = await client.items("stream_generate", "Once")
    assert ("".join(text), told) == ("Hello world", "\nError: The worker was killed by signal 9.")
    *items, failed = await client.items("stream_chat", MESSAGES)
    assert (chat_text(items), failed) == ("Hello world", {"error": "The worker was killed by signal 9."})


async def test_a_time_limit_does_not_make_the_client_ask_again(daemon: RunningDaemon, client: Client) -> None:
    daemon.launcher.script = Script(failure=GenerationTimeoutError("Timeout: nothing came for 600 s."))
    assert (await client.items("stream_generate", "Once"))[
        -1
    ] == "\nError: time limit: nothing came for 600 s."
    assert len(daemon.worker.requests) == 1


async def test_a_client_that_stops_listening_frees_its_slot(daemon: RunningDaemon, library: Any) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    client = library.LocalLabClient(daemon.url)
    stream = client.stream_generate("Once")
    assert await anext(stream) == "Hello"
    await stream.aclose()
    await client.close()
    await until(lambda: daemon.worker.aborted == 1)
