"""`puna keys`, without a daemon: on the database itself, with the instance lock held."""

import json

import pytest

from puna.cli import key_office
from puna.cli.key_office import open_office
from puna.errors import NotRunningError
from puna.instance import InstanceLock, Presence, Probe, is_locked
from puna.keys.records import KeyWish
from puna.paths import Paths
from unit.conftest import Run


def test_create_prints_the_key_alone_and_the_rest_beside_it(puna: Run) -> None:
    made = puna("keys", "create", "--name", "laptop")
    assert made.code == 0
    assert made.out.startswith("puna_")
    assert len(made.out.split()) == 1
    assert "This is the key laptop (key_" in made.err
    assert "It is not shown again" in made.err
    listed = puna("keys", "list")
    assert "laptop" in listed.out
    assert f"{made.out[:9]}..." in listed.out
    assert made.out.strip() not in listed.out


def test_a_key_has_the_scopes_and_the_organisation_that_were_asked_for(puna: Run) -> None:
    assert puna("keys", "add-organisation", "acme").out.startswith("The organisation acme is org_")
    for scopes in (("--scope", "train, infer"), ("--scope", "train", "--scope", "INFER")):
        made = json.loads(puna("keys", "create", "--name", "k", "--org", "acme", *scopes, "--json").out)
        assert made["key"]["scopes"] == ["infer", "train"]
        _, acme = json.loads(puna("keys", "organisations", "--json").out)["organisations"]
        assert made["key"]["organisation_id"] == acme["id"]
    table = puna("keys", "organisations").out
    assert "default (the default)" in table
    assert table.count("org_") == 2
    [head, *rows] = puna("keys", "list").out.splitlines()
    assert head.split() == ["id", "name", "organisation", "scopes", "begins", "made", "last", "used"]
    assert [row.split()[1:4] for row in rows] == [["k", "acme", "infer,train"]] * 2
    assert all(row.endswith("never") or row.split()[-1] == "never" for row in rows)


def test_revoke_ends_a_key_and_says_when_there_is_none(puna: Run) -> None:
    made = json.loads(puna("keys", "create", "--name", "k", "--json").out)["key"]
    assert puna("keys", "revoke", made["id"]).out == f"The key k ({made['id']}) is revoked.\n"
    assert "There is no key" in puna("keys", "list").out
    again = puna("keys", "revoke", made["id"])
    assert again.code == 1
    assert again.err == f"puna: There is no key {made['id']}; `puna keys list` shows those that hold.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create"], 2, "--name"),
        (["create", "--name", "k", "--scope", "root"], 2, "It takes infer, manage, train, not root."),
        (["create", "--name", "k", "--scope", ","], 2, "not nothing"),
        (["create", "--name", " "], 1, "1 to 100 printable characters"),
        (["create", "--name", "k", "--org", "x"], 1, "no organisation x; known are default (org_"),
        (["add-organisation", "default"], 1, "already"),
        (["revoke"], 2, "ID"),
    ],
)
def test_what_is_wrong_is_a_sentence(puna: Run, arguments: list[str], code: int, words: str) -> None:
    ended = puna("keys", *arguments)
    assert ended.code == code
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_no_daemon_starts_while_the_database_is_changed(home: Paths) -> None:
    with open_office(home) as office:
        assert is_locked(home)
        office.create_key(KeyWish(name="k"))
    assert not is_locked(home)


def test_a_daemon_that_does_not_answer_is_not_worked_around(
    home: Paths, puna: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_office, "probe", lambda _: Probe(Presence.STARTING))
    with InstanceLock(home):
        ended = puna("keys", "list")
    assert ended.code == 3
    assert "does not answer" in ended.err
    with pytest.raises(NotRunningError), open_office(home):
        pass
