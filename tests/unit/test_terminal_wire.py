"""The chat over the real application: what it sends is understood as it is meant, and what comes is read as it is."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon, until
from fakes.scripted_model import Script
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import ChatPrompt, FinishReason, ReasoningDelta
from puna.errors import GenerationError, PunaError, WorkerDiedError
from puna.instance import Endpoint
from puna.terminal.answer_view import PlainView
from puna.terminal.answering import Answer, receive
from puna.terminal.conversation import Conversation
from puna.terminal.daemon import ChatDaemon
from puna.terminal.options import ChatOptions
from puna.terminal.wire import Usage


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with run_daemon(tmp_path) as running:
        yield running


def chat_with(daemon: RunningDaemon) -> ChatDaemon:
    endpoint = Endpoint(
        pid=1,
        create_time=0,
        host="127.0.0.1",
        port=daemon.port,
        token=ADMIN_TOKEN,
        instance="i",
        version="0",
    )
    return ChatDaemon(lambda: endpoint)


async def ask(
    daemon: RunningDaemon, conversation: Conversation, is_stopped: Callable[[], bool] = lambda: False
) -> Answer:
    """Ask in a thread, as the daemon answers in this one."""

    def converse() -> Answer:
        view = PlainView(io.StringIO(), is_terminal=False, shows_thoughts=True)
        return receive(chat_with(daemon).answer(conversation), view, is_stopped=is_stopped)

    return await asyncio.to_thread(converse)


def talk(model: str = "demo", options: ChatOptions | None = None) -> Conversation:
    return Conversation(model=model, options=options or ChatOptions()).asking("Why?")


async def test_text_reasoning_figures_and_the_end_arrive(daemon: RunningDaemon) -> None:
    daemon.launcher.script = Script(deltas=(ReasoningDelta("Hm, "), ReasoningDelta("so."), "Be", "cause."))
    answer = await ask(daemon, talk("thinker"))
    assert (answer.thought, answer.text) == ("Hm, so.", "Because.")
    assert (answer.end, answer.usage) == ("stop", Usage(5, 4))


async def test_every_option_means_what_it_says(daemon: RunningDaemon) -> None:
    options = ChatOptions(
        system="Be brief.",
        temperature=0.25,
        top_p=0.5,
        top_k=7,
        min_p=0.125,
        repeat_penalty=1.5,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=42,
        max_tokens=9,
        stop=("END", "\n\n"),
        think="high",
        format='{"type":"object"}',
    )
    await ask(daemon, talk("thinker", options).answered("Because.", "hm").asking("And?"))
    request = daemon.worker.requests[-1]
    assert isinstance(request.prompt, ChatPrompt)
    said = [(message.role.value, message.content) for message in request.prompt.messages]
    assert [role for role, _ in said] == ["system", "user", "assistant", "user"]
    assert "hm" not in str(said)
    assert request.prompt.effort == "high"
    assert (request.max_tokens, request.stop) == (9, ("END", "\n\n"))
    assert request.constraint == JsonSchemaConstraint('{"type":"object"}')
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0.25, 0.5, 7, 0.125)
    assert (sampling.repetition_penalty, sampling.seed) == (1.5, 42)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (0.5, -0.5)
    await ask(daemon, talk("thinker", ChatOptions(think=False)))
    prompt = daemon.worker.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.is_thinking is False


async def test_a_cut_answer_says_so(daemon: RunningDaemon) -> None:
    daemon.launcher.script = Script(reason=FinishReason.LENGTH)
    assert (await ask(daemon, talk())).end == "length"


async def test_what_fails_is_told_in_the_daemons_words(daemon: RunningDaemon) -> None:
    with pytest.raises(PunaError, match="nope"):
        await ask(daemon, talk("nope"))
    with pytest.raises(PunaError, match="embedder is an embedding model"):
        await ask(daemon, talk("embedder"))
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker died (signal 9)."))
    with pytest.raises(GenerationError, match=r"The worker died \(signal 9\)\."):
        await ask(daemon, talk())


async def test_stopping_gives_the_request_up(daemon: RunningDaemon) -> None:
    daemon.launcher.script = Script(deltas=("Once",), is_stalled=True)
    answer = await ask(daemon, talk(), is_stopped=lambda: bool(daemon.worker.running))
    await until(lambda: daemon.worker.aborted == 1)
    assert (answer.end, daemon.worker.running) == (None, 0)


async def test_models_are_listed_looked_up_and_told(daemon: RunningDaemon) -> None:
    chat = chat_with(daemon)
    assert {"demo", "org/model"} <= set(await asyncio.to_thread(chat.models))
    assert await asyncio.to_thread(chat.has_model, "org/model")
    assert not await asyncio.to_thread(chat.has_model, "org/other:Q4_K_M")
    assert await asyncio.to_thread(chat.resident, "demo") is None
    await ask(daemon, talk())
    resident = await asyncio.to_thread(chat.resident, "demo")
    assert resident is not None
    assert (resident.state, resident.context_length) == ("ready", 2048)


async def test_warming_up_loads_the_model_and_asks_for_nothing(daemon: RunningDaemon) -> None:
    chat_with(daemon).warm_up("other")
    await until(lambda: any(each.entry.id == "other" for each in daemon.services.residency.residents()))
    await until(lambda: not daemon.worker.requests)
