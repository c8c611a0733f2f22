"""Whose adapters are whose: what an organisation's key trained is for that organisation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fakes.adapter_shelves import adapter_id, record_of
from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon
from puna.api.model_names import find_current
from puna.config import Settings
from puna.domain.models import ModelSource
from puna.keys.identity import Identity, Scope
from puna.paths import Paths

DEMO = Paths.for_user().demo_model
ID = adapter_id(1)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    """One that asks for keys on this machine too."""
    async with run_daemon(tmp_path, settings=Settings(rate_limits="off", open_dialects=())) as running:
        yield running


async def serve(daemon: RunningDaemon, organisation_id: str | None) -> None:
    path = await daemon.services.adapters.prepare(ID)
    await daemon.services.adapters.add(replace(record_of(1, DEMO), organisation_id=organisation_id))
    catalogue = daemon.services.catalogue
    known = getattr(catalogue, "known")  # noqa: B009 - of the tests' own catalogue
    entry = await catalogue.find("demo")
    known[ID] = replace(entry, id=ID, source=ModelSource.ADAPTER, adapter=path, base="demo")


async def ask(daemon: RunningDaemon, key: str) -> tuple[int, int, bool]:
    """Return how a chat ends, how a question about the model ends, and whether it is listed."""
    body = {"model": ID, "messages": [{"role": "user", "content": "Hello"}]}
    async with daemon.client(Authorization=f"Bearer {key}") as client:
        chat = await client.post("/v1/chat/completions", json=body)
        shown = await client.get(f"/v1/models/{ID}")
        listed = await (await client.get("/v1/models")).json()
        return chat.status, shown.status, ID in [model["id"] for model in listed["data"]]


async def test_what_a_key_trained_is_for_its_organisation(daemon: RunningDaemon) -> None:
    own = await daemon.services.keys.create_organisation("own")
    foreign = await daemon.services.keys.create_organisation("foreign")
    await serve(daemon, own.id)
    assert await ask(daemon, await daemon.make_key(organisation=own.id)) == (200, 200, True)
    assert await ask(daemon, await daemon.make_key(organisation=foreign.id)) == (404, 404, False)
    assert await ask(daemon, await daemon.make_key(Scope.INFER, Scope.MANAGE)) == (200, 200, True)
    assert await ask(daemon, ADMIN_TOKEN) == (200, 200, True)


async def test_what_the_user_of_this_machine_trained_is_for_all(daemon: RunningDaemon) -> None:
    other = await daemon.services.keys.create_organisation("other")
    await serve(daemon, None)
    assert await ask(daemon, await daemon.make_key(organisation=other.id)) == (200, 200, True)


@pytest.mark.parametrize("name", ["", None])
async def test_an_adapter_that_was_made_the_current_model_answers_its_organisation_and_its_base_the_others(
    daemon: RunningDaemon, name: str | None
) -> None:
    own = await daemon.services.keys.create_organisation("own")
    foreign = await daemon.services.keys.create_organisation("foreign")
    await serve(daemon, own.id)
    await daemon.services.residency.load(ID)
    adapter = str(daemon.services.adapters.path(ID))
    keys = {
        await daemon.make_key(organisation=own.id): adapter,
        await daemon.make_key(organisation=foreign.id): None,
        await daemon.make_key(Scope.INFER, Scope.MANAGE): adapter,
    }
    for key, expected in keys.items():
        async with daemon.client(X_Api_Key=key) as client:
            reply = await client.post("/v1/aitextgen/generate", json={"prompt": "Hello", "model": name})
            assert reply.status == 200
        assert daemon.worker.requests[-1].adapter == expected


async def test_who_may_not_use_an_adapter_sees_its_base_as_the_current_model(daemon: RunningDaemon) -> None:
    own, foreign = "org_own", "org_foreign"
    await serve(daemon, own)
    await daemon.services.residency.load(ID)
    for organisation, seen in ((own, ID), (foreign, "demo")):
        identity = Identity(key_id="key_1", organisation_id=organisation, scopes=frozenset({Scope.INFER}))
        current = find_current(daemon.services, identity)
        assert current is not None
        assert current.entry.id == seen


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
        ("/v1/embeddings", {"input": "Hello"}),
        ("/v1/rerank", {"query": "a", "documents": ["b"]}),
        ("/api/embed", {"input": "Hello"}),
    ],
)
async def test_no_sentence_names_what_is_not_for_the_sender(
    daemon: RunningDaemon, path: str, body: dict[str, object]
) -> None:
    own = await daemon.services.keys.create_organisation("own")
    foreign = await daemon.services.keys.create_organisation("foreign")
    await serve(daemon, own.id)
    await daemon.services.nicknames.give("mine", await daemon.services.catalogue.find(ID))
    async with daemon.client(X_Api_Key=await daemon.make_key(organisation=foreign.id)) as client:
        for name in (ID, "mine", "min", "nothing"):
            reply = await client.post(path, json=body | {"model": name})
            told = await reply.text()
            assert reply.status == 404, told
            others = {ID, "'mine'"} - {name, f"'{name}'"}
            assert [each for each in others if each in told] == []
    assert daemon.launcher.worker.requests == []
