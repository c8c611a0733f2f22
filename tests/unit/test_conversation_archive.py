"""Stored answers: whose they are, how long they stay, and that conversations share what they have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from puna.config import Settings
from puna.conversations.archive import Archive
from puna.conversations.records import StoredItem, StoredResponse
from puna.store.database import Database

DAY_S = 86_400


class Disk:
    """A database whose clock a test sets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_s = 1_000_000_000.0
        self.database = Database.open(path)

    def archive(self, *, limit: int = 100) -> Archive:
        return Archive(self.database, keep_s=30 * DAY_S, limit=limit, now=lambda: self.now_s)

    def count(self, table: str) -> int:
        statement = f"SELECT COUNT(*) FROM {table}"  # noqa: S608 - names of this test
        return self.database.run_blocking(lambda connection: int(connection.execute(statement).fetchone()[0]))

    def open_again(self) -> None:
        self.database.close()
        self.database = Database.open(self.path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "puna.sqlite")
    yield disk
    disk.database.close()


def item(name: str) -> StoredItem:
    return StoredItem(name, f'{{"text":"{name} \\u2028 \U0001f999"}}'.encode())


def answer(
    name: str, *outputs: str, after: tuple[StoredItem, ...] = (), asks: str | None = None, owner: str = "org"
) -> StoredResponse:
    inputs = (*after, *([item(asks)] if asks else ()))
    return StoredResponse(
        id=name,
        owner=owner,
        body=f'{{"id":"{name}"}}'.encode(),
        inputs=inputs,
        outputs=tuple(map(item, outputs)),
    )


async def conversation(archive: Archive, name: str, owner: str | None = "org") -> list[str] | None:
    items = await archive.conversation(name, owner)
    return None if items is None else [each.id for each in items]


async def test_an_answer_is_read_as_it_was_written(disk: Disk) -> None:
    await disk.archive().add(answer("a", "said", asks="asked"))
    disk.open_again()
    archive = disk.archive()
    assert await archive.body("a", "org") == b'{"id":"a"}'
    assert [each.body for each in await archive.inputs("a", "org") or ()] == [item("asked").body]
    assert await conversation(archive, "a") == ["asked", "said"]


async def test_a_conversation_goes_on_without_copies(disk: Disk) -> None:
    archive = disk.archive()
    await archive.add(answer("a", "said1", asks="asked1"))
    first = tuple(await archive.conversation("a", "org") or ())
    await archive.add(answer("b", "said2", asks="asked2", after=first))
    await archive.add(answer("c", "said3", asks="asked3", after=first))
    assert await conversation(archive, "b") == ["asked1", "said1", "asked2", "said2"]
    assert await conversation(archive, "c") == ["asked1", "said1", "asked3", "said3"]
    assert disk.count("conversation_items") == 6


async def test_a_removed_answer_is_gone_and_later_turns_keep_what_they_need(disk: Disk) -> None:
    archive = disk.archive()
    await archive.add(answer("a", "said1", asks="asked1"))
    first = tuple(await archive.conversation("a", "org") or ())
    await archive.add(answer("b", "said2", after=first))
    assert await archive.remove("a", "org")
    assert not await archive.remove("a", "org")
    assert await archive.body("a", "org") is None
    assert await conversation(archive, "b") == ["asked1", "said1", "said2"]
    assert await archive.remove("b", "org")
    assert [disk.count(name) for name in ("responses", "response_items", "conversation_items")] == [0, 0, 0]


async def test_a_turn_outlives_the_removal_of_the_one_before_while_it_was_made(disk: Disk) -> None:
    archive = disk.archive()
    await archive.add(answer("a", "said1", asks="asked1"))
    first = tuple(await archive.conversation("a", "org") or ())
    await archive.remove("a", "org")
    await archive.add(answer("other", "x"))
    await archive.add(answer("b", "said2", after=first))
    assert await conversation(archive, "b") == ["asked1", "said1", "said2"]
    assert await conversation(archive, "other") == ["x"]


async def test_what_belongs_to_somebody_else_is_not_there(disk: Disk) -> None:
    archive = disk.archive()
    await archive.add(answer("a", "said", asks="asked", owner="org1"))
    for owner in ("org2", ""):
        assert await archive.body("a", owner) is None
        assert await archive.inputs("a", owner) is None
        assert await conversation(archive, "a", owner) is None
        assert await archive.items(["said", "asked"], owner) == {}
        assert not await archive.remove("a", owner)
    assert await conversation(archive, "a", None) == ["asked", "said"]
    assert set(await archive.items(["said", "asked"], None)) == {"said", "asked"}


async def test_items_are_found_by_their_ids_the_newest_first(disk: Disk) -> None:
    archive = disk.archive()
    await archive.add(answer("a", "said"))
    await archive.add(answer("b", "said"))
    newest = (await archive.conversation("b", "org") or ())[0].number
    found = await archive.items(["said", "never"], "org")
    assert {name: each.number for name, each in found.items()} == {"said": newest}


async def test_old_answers_are_forgotten(disk: Disk) -> None:
    archive = disk.archive()
    await archive.add(answer("a", "said1"))
    first = tuple(await archive.conversation("a", "org") or ())
    disk.now_s += 29 * DAY_S
    await archive.add(answer("b", "said2", after=first))
    assert await archive.body("a", "org") is not None
    disk.now_s += 2 * DAY_S
    assert await archive.body("a", "org") is None
    assert await conversation(archive, "a") is None
    assert not await archive.remove("a", "org")
    assert disk.count("responses") == 2
    await archive.remove_expired()
    assert disk.count("responses") == 1
    assert await conversation(archive, "b") == ["said1", "said2"]
    disk.now_s += 30 * DAY_S
    assert await archive.items(["said2"], "org") == {}
    await archive.add(answer("c", "said3", owner="somebody else"))
    assert (disk.count("responses"), disk.count("conversation_items")) == (1, 1)


async def test_the_oldest_go_first_each_owner_for_itself(disk: Disk) -> None:
    archive = disk.archive(limit=2)
    await archive.add(answer("theirs", "x", owner="org2"))
    for name in ("a", "b", "c"):
        await archive.add(answer(name, f"said {name}"))
    assert [await archive.body(name, "org") is not None for name in ("a", "b", "c")] == [False, True, True]
    assert await archive.body("theirs", "org2") is not None
    assert disk.count("conversation_items") == 3


async def test_the_settings_say_how_many_and_how_long(disk: Disk) -> None:
    archive = Archive.of_settings(Settings(response_limit=1, response_keep_days=1), disk.database)
    await archive.add(answer("a", "x"))
    await archive.add(answer("b", "y"))
    assert [await archive.body(name, "org") is not None for name in ("a", "b")] == [False, True]
