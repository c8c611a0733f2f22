"""Keys: shown once, stored as hashes, found at once, and gone at once when they are revoked."""

import asyncio
import hashlib
import re
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.running_daemon import until
from puna import bookkeeping
from puna.bookkeeping import Bookkeeper
from puna.errors import InvalidRequestError, NotFoundError, StoreError
from puna.keys import table
from puna.keys.identity import Scope
from puna.keys.records import KeyWish, NewKey
from puna.keys.ring import KeyRing
from puna.keys.secret import hash_secret, make_secret
from puna.limits.limiter import Limiter, UsageCount
from puna.limits.rates import parse_rates
from puna.redaction import redact
from puna.store.database import Database
from puna.store.usage_counts import read_counts

NOON = 1_800_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "puna.db") as database:
        yield database


@pytest.fixture
def ring(database: Database) -> KeyRing:
    return KeyRing.read(database, lambda: NOON + 0.7)


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_a_secret_is_256_random_bits_that_a_log_hides() -> None:
    secrets = {make_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert re.fullmatch(r"puna_[A-Za-z0-9]{43}", secret)
        assert (
            redact(f"the key {secret} was sent to /x/{secret}") == "the key [hidden] was sent to /x/[hidden]"
        )
    assert 62**43 >= 2**256


async def test_only_the_hash_of_a_key_is_stored(ring: KeyRing, tmp_path: Path) -> None:
    made = await ring.create(KeyWish(name="laptop"))
    stored = content(tmp_path)
    assert made.secret.encode() not in stored
    assert made.secret[-20:].encode() not in stored
    assert hashlib.sha256(made.secret.encode()).digest() in stored
    assert made.secret not in repr(made)


async def test_a_key_is_found_by_its_secret_alone(ring: KeyRing) -> None:
    made = await ring.create(KeyWish(name="laptop", scopes=(Scope.TRAIN, Scope.INFER)))
    assert ring.find(made.secret) == made.key
    assert (made.key.name, made.key.scopes, made.key.created_at) == (
        "laptop",
        (Scope.INFER, Scope.TRAIN),
        NOON,
    )
    assert made.key.hint == made.secret[:9]
    for wrong in (
        "",
        made.secret[:-1],
        f"{made.secret}x",
        made.secret.lower(),
        made.key.id,
        "puna_",
        "caf\udce9",
    ):
        assert ring.find(wrong) is None
    assert ring.find(hash_secret(made.secret).hex()) is None


async def test_keys_hold_after_a_restart_and_revoked_ones_stay_revoked(
    ring: KeyRing, database: Database
) -> None:
    kept, gone = [await ring.create(KeyWish(name=name)) for name in ("kept", "gone")]
    await ring.revoke(gone.key.id)
    again = KeyRing.read(database, lambda: NOON)
    assert again.keys == (kept.key,)
    assert again.find(kept.secret) == kept.key
    assert again.find(gone.secret) is None


async def test_revoking_takes_effect_before_the_disk_has_it(ring: KeyRing) -> None:
    made = await ring.create(KeyWish(name="laptop"))
    revoking = asyncio.create_task(ring.revoke(made.key.id))
    await asyncio.sleep(0)
    assert ring.find(made.secret) is None
    assert await revoking == made.key
    with pytest.raises(NotFoundError, match="puna keys list"):
        await ring.revoke(made.key.id)


async def test_a_client_that_leaves_does_not_undo_its_revoking(ring: KeyRing, database: Database) -> None:
    made = await ring.create(KeyWish(name="laptop"))
    revoking = asyncio.create_task(ring.revoke(made.key.id))
    await asyncio.sleep(0)
    revoking.cancel()
    await asyncio.gather(revoking, return_exceptions=True)
    assert ring.find(made.secret) is None
    assert await database.run(table.read_keys) == {}


@pytest.mark.parametrize("makes", ["key", "first key", "organisation"])
async def test_what_is_on_disk_is_known_also_when_the_client_left_before(
    ring: KeyRing, database: Database, makes: str
) -> None:
    work: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "key": lambda: ring.create(KeyWish(name="laptop")),
        "first key": ring.create_first,
        "organisation": lambda: ring.create_organisation("office"),
    }
    making = asyncio.create_task(work[makes]())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    on_disk = await database.run(table.read_keys)
    organisations = await database.run(table.read_organisations)
    assert making.cancelled()
    assert ring.keys == tuple(on_disk.values())
    assert list(ring.organisations) == organisations
    assert len(on_disk) + len(organisations) == 2


async def test_a_key_that_could_not_be_revoked_still_holds(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ring.create(KeyWish(name="laptop"))

    def fail(connection: sqlite3.Connection, key_id: str, now: int) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(table, "revoke_key", fail)
    with pytest.raises(StoreError):
        await ring.revoke(made.key.id)
    assert ring.find(made.secret) == made.key
    assert ring.keys == (made.key,)


async def test_a_key_that_could_not_be_revoked_still_holds_also_when_the_client_left_before(
    ring: KeyRing, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ring.create(KeyWish(name="laptop"))

    def fail(connection: sqlite3.Connection, key_id: str, now: int) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(table, "revoke_key", fail)
    revoking = asyncio.create_task(ring.revoke(made.key.id))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    revoking.cancel()
    await asyncio.gather(revoking, return_exceptions=True)
    assert tuple((await database.run(table.read_keys)).values()) == (made.key,)
    await asyncio.sleep(0)
    assert ring.keys == (made.key,)
    assert ring.find(made.secret) == made.key


async def test_the_first_key_is_made_once_and_never_again(ring: KeyRing, database: Database) -> None:
    first = await ring.create_first()
    assert first is not None
    assert (first.key.name, first.key.scopes) == ("first", (Scope.INFER,))
    assert first.key.organisation_id == ring.default_organisation.id
    assert await ring.create_first() is None
    await ring.revoke(first.key.id)
    assert await KeyRing.read(database, lambda: NOON).create_first() is None


async def test_who_made_a_key_before_the_first_start_gets_no_other(ring: KeyRing) -> None:
    await ring.create(KeyWish(name="own"))
    assert await ring.create_first() is None


async def test_a_key_belongs_to_the_organisation_that_was_named(ring: KeyRing, database: Database) -> None:
    acme = await ring.create_organisation("acme")
    by_name, by_id, by_default = [
        (await ring.create(KeyWish(name="k", organisation=organisation))).key.organisation_id
        for organisation in ("acme", acme.id, None)
    ]
    assert by_name == by_id == acme.id
    assert by_default == ring.default_organisation.id != acme.id
    assert KeyRing.read(database, lambda: NOON).organisations == ring.organisations
    assert [one.name for one in ring.organisations] == ["default", "acme"]


async def test_an_unknown_organisation_is_told_with_those_that_are_known(ring: KeyRing) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"no organisation nowhere; known are default \(org_"
    ) as told:
        await ring.create(KeyWish(name="k", organisation="nowhere"))
    assert told.value.field == "organisation"
    assert ring.keys == ()


@pytest.mark.parametrize("taken", ["acme", " acme ", "default"])
async def test_an_organisation_s_name_is_taken_once(ring: KeyRing, taken: str) -> None:
    await ring.create_organisation("acme")
    with pytest.raises(InvalidRequestError, match="already"):
        await ring.create_organisation(taken)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "\x1b[2J"])
async def test_a_name_must_be_fit_for_lists_and_logs(ring: KeyRing, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="1 to 100 printable"):
        await ring.create(KeyWish(name=name))
    with pytest.raises(InvalidRequestError):
        await ring.create_organisation(name)


def count_writes(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    writes: list[object] = []
    run = database.run

    async def counted(work: object) -> object:
        writes.append(work)
        return await run(work)  # type: ignore[arg-type] # any work will do

    monkeypatch.setattr(database, "run", counted)
    return writes


async def test_a_thousand_uses_are_one_write(
    ring: KeyRing, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [await ring.create(KeyWish(name=f"k{i}")) for i in range(3)]
    limits = Limiter(parse_rates("off aitextgen=5000/day"), lambda: NOON)
    bookkeeper = Bookkeeper(database, ring, limits, lambda: NOON)
    writes = count_writes(database, monkeypatch)
    for _ in range(1000):
        for made in keys[:2]:
            key = ring.find(made.secret)
            assert key is not None
            ring.note_use(key)
            limits.take("aitextgen", key.id)
    assert writes == []
    assert [key.last_used_at for key in ring.keys] == [NOON, NOON, None]
    await bookkeeper.write()
    await bookkeeper.write()
    assert len(writes) == 1
    assert [key.last_used_at for key in KeyRing.read(database, lambda: NOON).keys] == [NOON, NOON, None]
    counts = await database.run(read_counts)
    assert {(one.client, one.count) for one in counts} == {(made.key.id, 1000) for made in keys[:2]}


async def test_a_use_of_a_key_that_was_revoked_since_is_dropped(ring: KeyRing) -> None:
    made = await ring.create(KeyWish(name="laptop"))
    ring.note_use(made.key)
    await ring.revoke(made.key.id)
    assert ring.take_uses() == {}


async def test_closing_the_books_writes_what_is_left_and_old_counts_go(
    ring: KeyRing, database: Database
) -> None:
    now = float(NOON)
    limits = Limiter(parse_rates("off aitextgen=5000/day"), lambda: now)
    bookkeeper = Bookkeeper(database, ring, limits, lambda: now)
    bookkeeper.start()
    limits.take("aitextgen", "a")
    await bookkeeper.close()
    assert await database.run(read_counts) == [UsageCount("aitextgen", "a", 86_400, NOON, 1)]
    now += 86_400
    limits.take("aitextgen", "b")
    await bookkeeper.close()
    assert [one.client for one in await database.run(read_counts)] == ["b"]


async def test_books_that_cannot_be_written_are_a_line_in_the_log(
    ring: KeyRing, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: NewKey = await ring.create(KeyWish(name="laptop"))

    async def fail(work: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(database, "run", fail)
    ring.note_use(made.key)
    await Bookkeeper(database, ring, Limiter({}, lambda: NOON), lambda: NOON).close()
    assert "usage is not recorded: the disk is full" in caplog.text


async def test_an_error_that_nobody_expected_does_not_end_the_books(
    ring: KeyRing, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = await ring.create(KeyWish(name="laptop"))
    monkeypatch.setattr(bookkeeping, "INTERVAL_S", 0.0)
    bookkeeper = Bookkeeper(database, ring, Limiter({}, lambda: NOON), lambda: NOON)

    async def fail(work: object) -> None:
        raise sqlite3.OperationalError("locking protocol")

    with monkeypatch.context() as patch:
        patch.setattr(database, "run", fail)
        ring.note_use(made.key)
        bookkeeper.start()
        await until(lambda: "locking protocol" in caplog.text or not ring._used)
        for _ in range(3):
            await asyncio.sleep(0)
    ring.note_use(made.key)
    await bookkeeper.close()
    assert "usage is not recorded" in caplog.text
    [key] = (await database.run(table.read_keys)).values()
    assert key.last_used_at == NOON
