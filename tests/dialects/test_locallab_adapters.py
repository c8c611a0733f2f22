"""LocalLab tells the current model as the sender may see it: another organisation's adapter is its base."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fakes.adapter_shelves import adapter_id, record_of
from fakes.asking import get, post
from fakes.running_daemon import RunningDaemon, run_daemon
from puna.config import Settings
from puna.domain.models import ModelSource
from puna.keys.identity import Scope
from puna.paths import Paths

ID = adapter_id(1)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    """One that asks for keys on this machine too, with an adapter of the organisation `own`."""
    async with run_daemon(tmp_path, settings=Settings(rate_limits="off", open_dialects=())) as running:
        own = await running.services.keys.create_organisation("own")
        path = await running.services.adapters.prepare(ID)
        record = replace(record_of(1, Paths.for_user().demo_model), organisation_id=own.id)
        await running.services.adapters.add(record)
        known = getattr(running.services.catalogue, "known")  # noqa: B009 - of the tests' own catalogue
        known[ID] = replace(known["demo"], id=ID, source=ModelSource.ADAPTER, adapter=path, base="demo")
        yield running


async def told(daemon: RunningDaemon, key: str) -> dict[str, Any]:
    async with daemon.client(X_Api_Key=key) as client:
        return {
            "/models/current": (await get(client, "/models/current"))["id"],
            "/models/available": (await get(client, "/models/available"))["current_model"],
            "/models": (await get(client, "/models"))["current_model"],
            "/system/info": (await get(client, "/system/info"))["active_model"],
            "/startup-status": (await get(client, "/startup-status"))["current_model"],
            "/": (await get(client, "/"))["model"],
        }


async def test_another_organisation_s_adapter_is_told_as_its_base(daemon: RunningDaemon) -> None:
    organisations = {each.name: each.id for each in daemon.services.keys.organisations}
    foreign = await daemon.services.keys.create_organisation("foreign")
    async with daemon.client(X_Api_Key=await daemon.make_key(Scope.MANAGE)) as manager:
        await post(manager, "/models/load", {"model_id": ID})
    own_key = await daemon.make_key(organisation=organisations["own"])
    assert set((await told(daemon, own_key)).values()) == {ID}
    assert set((await told(daemon, await daemon.make_key(organisation=foreign.id))).values()) == {"demo"}
