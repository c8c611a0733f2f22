"""Keys over the control API: made, listed, revoked, and worth something at once."""

import asyncio
import os
from typing import Any

import aiohttp
import pytest

import puna
from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon
from puna.client import ControlClient
from puna.errors import PunaError
from puna.instance import Endpoint
from puna.keys.identity import Scope
from puna.keys.records import KeyWish

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
KEYS, ORGANISATIONS = "/puna/v1/keys", "/puna/v1/organisations"


async def ask(
    client: aiohttp.ClientSession,
    method: str,
    path: str,
    body: object = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Any:
    """Return the JSON of a request of the admin, or of who else is named in the headers."""
    async with client.request(method, path, json=body, headers=headers or ADMIN) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_a_key_is_shown_once_and_opens_what_it_is_for(client: aiohttp.ClientSession) -> None:
    async with client.post(KEYS, json={"name": "laptop"}, headers=ADMIN) as answer:
        assert answer.status == 201
        assert answer.headers["Cache-Control"] == "no-store"
        made = await answer.json()
    secret = made["secret"]
    assert made["key"]["scopes"] == ["infer"]
    listed = await ask(client, "GET", KEYS)
    assert [key["id"] for key in listed["keys"]] == [made["key"]["id"]]
    assert secret not in str(listed)
    # X-Forwarded-For: from another machine a key is asked for everywhere.
    elsewhere = {"X-Api-Key": secret, "X-Forwarded-For": "203.0.113.7"}
    assert await ask(client, "GET", "/health", headers=elsewhere) == {"status": "healthy"}
    assert (await ask(client, "GET", KEYS))["keys"][0]["last_used_at"] >= made["key"]["created_at"]


async def test_a_revoked_key_is_unknown_for_the_next_request(client: aiohttp.ClientSession) -> None:
    made = await ask(client, "POST", KEYS, {"name": "ops", "scopes": ["manage", "infer"]}, status=201)
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    await ask(client, "GET", KEYS, headers=bearer)
    path = f"{KEYS}/{made['key']['id']}"
    assert (await ask(client, "DELETE", path, headers=bearer))["name"] == "ops"
    await ask(client, "GET", KEYS, headers=bearer, status=401)
    assert await ask(client, "GET", KEYS) == {"keys": []}
    gone = await ask(client, "DELETE", path, status=404)
    assert "There is no key" in gone["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "`name` is required"),
        ({"name": ""}, "`name` must be a string of 1 to 100 characters"),
        ({"name": "a\nb"}, "1 to 100 printable"),
        ({"name": 1}, "`name` must be"),
        ({"name": "k", "scopes": []}, "`scopes` must be a list"),
        ({"name": "k", "scopes": ["root"]}, "one of infer, manage, train"),
        ({"name": "k", "organisation": "nowhere"}, "There is no organisation nowhere; known are default"),
    ],
)
async def test_a_wrong_wish_is_a_sentence(
    client: aiohttp.ClientSession, body: dict[str, object], words: str
) -> None:
    assert words in (await ask(client, "POST", KEYS, body, status=400))["detail"]
    assert (await ask(client, "GET", KEYS))["keys"] == []


async def test_the_first_key_is_handed_out_once(client: aiohttp.ClientSession) -> None:
    first = (await ask(client, "POST", f"{KEYS}/first"))["made"]
    assert first["key"]["name"] == "first"
    assert await ask(client, "POST", f"{KEYS}/first") == {"made": None}


async def test_organisations_are_made_and_listed(client: aiohttp.ClientSession) -> None:
    acme = await ask(client, "POST", ORGANISATIONS, {"name": "acme"}, status=201)
    listed = (await ask(client, "GET", ORGANISATIONS))["organisations"]
    assert [(one["name"], one["is_default"]) for one in listed] == [("default", True), ("acme", False)]
    made = await ask(client, "POST", KEYS, {"name": "k", "organisation": "acme"}, status=201)
    assert made["key"]["organisation_id"] == acme["id"] == listed[1]["id"]
    again = await ask(client, "POST", ORGANISATIONS, {"name": "acme"}, status=400)
    assert "already" in again["detail"]


async def test_a_key_that_may_only_infer_makes_no_keys(
    daemon: RunningDaemon, client: aiohttp.ClientSession
) -> None:
    for scopes, status in (((Scope.INFER, Scope.TRAIN), 403), ((Scope.MANAGE,), 201)):
        headers = {"X-Api-Key": await daemon.make_key(*scopes)}
        answer = await ask(client, "POST", KEYS, {"name": "k"}, headers=headers, status=status)
        assert status == 201 or "scope manage" in answer["detail"]


async def test_the_secret_of_a_key_is_not_in_the_log(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        made = await ask(client, "POST", KEYS, {"name": "laptop"}, status=201)
        await ask(client, "GET", "/health", headers={"X-Api-Key": made["secret"]})
    assert f"the key laptop ({made['key']['id']}) is made, for infer" in caplog.text
    assert made["secret"] not in caplog.text


async def test_the_command_line_s_client_understands_the_answers(daemon: RunningDaemon) -> None:
    endpoint = Endpoint(
        pid=os.getpid(),
        create_time=0,
        host="127.0.0.1",
        port=daemon.port,
        token=ADMIN_TOKEN,
        instance="instance-of-this-test",
        version=puna.__version__,
    )

    def talk() -> None:
        control = ControlClient(endpoint)
        first = control.create_first_key()
        assert first is not None
        assert control.create_first_key() is None
        acme = control.create_organisation("acme")
        made = control.create_key(KeyWish(name="k", organisation="acme", scopes=(Scope.TRAIN,)))
        assert control.keys() == (first.key, made.key)
        assert made.key.organisation_id == acme.id
        assert control.organisations()[1] == acme
        assert control.revoke_key(made.key.id) == made.key
        assert control.keys() == (first.key,)
        with pytest.raises(PunaError, match=r"There is no key /\.\./x"):
            control.revoke_key("/../x")
        assert control.status().organisation == first.key.organisation_id

    await asyncio.to_thread(talk)
