"""Where webhooks may point, in every spelling that hides it."""

import asyncio
import socket
import threading

import pytest

from fakes.webhook_home import Names
from puna.webhooks.address import AddressRefusedError, AddressRules, Target, judge_address, parse_target
from puna.webhooks.gate import Gate
from puna.webhooks.lookup import LookupFailedError, NameLookup

DEFAULT = AddressRules()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://your-app.com/webhook", Target("your-app.com", 443)),
        ("http://localhost:9000", Target("localhost", 9000)),
        ("HTTP://LocalHost/a?b=c%20d", Target("localhost", 80)),
        ("http://127.0.0.1:1/x", Target("127.0.0.1", 1)),
        ("http://[::1]:8080/x", Target("::1", 8080)),
        ("https://bücher.example/x", Target("xn--bcher-kva.example", 443)),
    ],
)
def test_a_url_names_its_receiver(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "whole http or https URL"),
        ("hook", "whole http or https URL"),
        ("//example.org/x", "whole http or https URL"),
        ("ftp://example.org/x", "whole http or https URL"),
        ("file:///etc/passwd", "whole http or https URL"),
        ("gopher://example.org:80/x", "whole http or https URL"),
        ("http:///x", "URL"),
        ("http://example.org:0/x", "URL"),
        ("http://example.org:99999/x", "not a URL"),
        ("http://example.org:port/x", "not a URL"),
        ("http://me@example.org/x", "name or a password"),
        ("http://me:pw@example.org/x", "name or a password"),
        ("http://:pw@example.org/x", "name or a password"),
        ("http://example.org/x#part", "behind #"),
        ("http://example.org/a b", "cannot have"),
        ("http://example.org\r\nX: y/", "cannot have"),
        ("http://example.org\\@127.0.0.1/", "cannot have"),
        ("http://[fe80::1/x", "not a URL"),
        ("http://127.1/x", "four numbers"),
        ("http://2130706433/x", "four numbers"),
        ("http://0x7f000001/x", "four numbers"),
        ("http://0x7f.0.0.1/x", "four numbers"),
        ("http://0177.0.0.1/x", "four numbers"),
        ("http://127.0.0.1./x", "four numbers"),
        ("http://example.org/" + "x" * 2100, "2048 are the most"),
    ],
)
def test_what_is_no_webhook_s_url_is_refused_with_a_sentence(url: str, words: str) -> None:
    with pytest.raises(AddressRefusedError, match=words) as refused:
        parse_target(url)
    assert refused.value.field == "url"


@pytest.mark.parametrize(
    ("address", "verdict"),
    [
        ("93.184.216.34", None),
        ("2606:2800:220:1:248:1893:25c8:1946", None),
        ("127.0.0.1", None),
        ("127.8.9.10", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("169.254.0.7", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("169.254.169.254", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("::ffff:a9fe:a9fe", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("2002:a9fe:a9fe::1", "."),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"),
        ("2001:db8::1", "reserved"),
        ("192.0.0.8", "reserved"),
        ("192.88.99.1", "reserved"),
        ("3fff::1", "reserved"),
        ("fec0::1", "reserved"),
        ("::7f00:1", "reserved"),
        ("::ffff:0:127.0.0.1", "reserved"),
        ("64:ff9b:1::a9fe:a9fe", "reserved"),
        ("64:ff9b::5db8:d822", None),
        ("4000::1", "reserved"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12:3456::1", "private"),
        ("::ffff:192.168.1.1", "private"),
        ("64:ff9b::c0a8:101", "private"),
        ("example.org", "no address"),
    ],
)
def test_an_address_is_judged_by_where_it_leads(address: str, verdict: str | None) -> None:
    found = judge_address(address, DEFAULT)
    assert found is None if verdict is None else (found is not None and verdict.strip(".") in found)


def test_settings_open_private_networks_and_close_this_machine() -> None:
    rules = AddressRules(allow_loopback=False, allow_private=True)
    assert judge_address("192.168.1.1", rules) is None
    assert judge_address("fd12:3456::1", rules) is None
    for never in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"):
        assert "this machine" in (judge_address(never, rules) or "")
    for never in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fe80::1", "224.0.0.1", "0.0.0.0"):
        assert judge_address(never, rules) is not None


async def test_only_the_allowed_addresses_of_a_name_are_used() -> None:
    gate = Gate(DEFAULT, Names(mixed=("fe80::1", "127.0.0.1", "10.0.0.1")))
    assert await gate.admit(Target("mixed", 80)) == ["127.0.0.1"]


async def test_a_name_that_leads_nowhere_allowed_is_refused_with_its_address() -> None:
    gate = Gate(DEFAULT, Names(sly=("169.254.169.254",), empty=()))
    with pytest.raises(AddressRefusedError) as refused:
        await gate.admit(Target("sly", 80))
    assert refused.value.message == (
        "Webhooks must not point there: sly leads to 169.254.169.254, which is a metadata service of clouds."
    )
    with pytest.raises(LookupFailedError):
        await gate.admit(Target("empty", 80))


async def test_the_system_s_lookup_knows_this_machine_and_no_nonsense() -> None:
    look_up = NameLookup()
    assert set(await look_up("localhost", 80)) <= {"127.0.0.1", "::1"}
    assert await look_up("127.0.0.1", 80) == ["127.0.0.1"]
    with pytest.raises(LookupFailedError, match="has no address"):
        await look_up("x" * 70 + ".invalid", 80)


async def test_lookups_that_hang_hold_up_neither_addresses_nor_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    look_up = NameLookup()
    for number in range(16):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(look_up(f"slow{number}.example", 80), 0.001)
    with pytest.raises(LookupFailedError, match="too many lookups hang"):
        await look_up("slow.example", 80)
    assert await look_up("0:0:0:0:0:0:0:1", 80) == ["::1"]
    release.set()
    async with asyncio.timeout(60):
        while any(each.name == "puna-lookup" for each in threading.enumerate()):
            await asyncio.sleep(0.01)
    assert await look_up("fast.example", 80) == []


async def test_lookups_for_which_there_is_no_thread_take_no_place_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    look_up = NameLookup()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for _ in range(17):
            with pytest.raises(LookupFailedError, match="could not be looked up: no thread"):
                await look_up("localhost", 80)
    assert set(await look_up("localhost", 80)) <= {"127.0.0.1", "::1"}
