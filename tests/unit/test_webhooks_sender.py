"""Deliveries over real HTTP: receivers that fail, stall, redirect and lie, and addresses that change in between."""

import asyncio
import ipaddress
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.webhook_home import Names, completed
from fakes.webhook_receiver import Reply, WebhookReceiver, run_receiver
from puna.webhooks.address import AddressRules
from puna.webhooks.gate import Gate
from puna.webhooks.lookup import NameLookup
from puna.webhooks.message import to_message
from puna.webhooks.outcome import Answered, Result, Unanswered
from puna.webhooks.payload import to_body
from puna.webhooks.ports import Message, Parcel
from puna.webhooks.sender import HttpSender, _only_to
from puna.webhooks.signature import make_message_id, make_secret

SECRET = make_secret()


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with run_receiver() as receiver:
        receiver.secret = SECRET
        yield receiver


def message_to(url: str) -> Message:
    parcel = Parcel(url=url, secret=SECRET, message_id=make_message_id(), body=to_body(completed("org_1")))
    return to_message(parcel, now_s=time.time(), version="1.2.3")


def sender_of(
    names: Names | None = None, *, timeout_s: float = 60, rules: AddressRules | None = None
) -> HttpSender:
    return HttpSender(Gate(rules or AddressRules(), names or Names()), timeout_s=timeout_s)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def send(url: str, sender: HttpSender | None = None) -> Result:
    return await (sender or sender_of()).send(message_to(url))


async def test_a_receiver_believes_what_comes(receiver: WebhookReceiver) -> None:
    assert await send(receiver.url("/hook?who=me%20too")) == Answered(status=204)
    (payload,) = receiver.accepted
    assert payload["data"] == {"status": "success", "model_id": "ft_model_12345", "training_time": 180.5}
    (seen,) = receiver.received
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"] == "Puna/1.2.3"
    assert seen.headers["content-length"] == str(len(seen.body))
    assert "cookie" not in seen.headers


async def test_a_receiver_with_another_secret_does_not(receiver: WebhookReceiver) -> None:
    receiver.secret = make_secret()
    assert await send(receiver.url()) == Answered(status=401)
    assert receiver.refused == ["No matching signature found"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: WebhookReceiver, status: int) -> None:
    receiver.reply = Reply(status=status, headers={"Location": receiver.url("/elsewhere")})
    assert await send(receiver.url()) == Answered(status=status)
    assert [each.path for each in receiver.received] == ["/hook"]


@pytest.mark.parametrize("status", [200, 299, 400, 410, 500])
async def test_a_status_is_told_as_it_is(receiver: WebhookReceiver, status: int) -> None:
    receiver.reply = Reply(status=status)
    assert await send(receiver.url()) == Answered(status=status)


async def test_retry_after_is_told(receiver: WebhookReceiver) -> None:
    receiver.reply = Reply(status=429, headers={"Retry-After": "17"})
    assert await send(receiver.url()) == Answered(status=429, retry_after_s=17)


async def test_a_receiver_that_says_nothing_is_left_in_time(receiver: WebhookReceiver) -> None:
    receiver.reply = Reply(stalls=True)
    answer = await send(receiver.url(), sender_of(timeout_s=0.2))
    assert answer == Unanswered("No answer came within 0.2 seconds.")
    await receiver.until(lambda: receiver.under_way == 0)


async def test_a_name_that_hangs_counts_to_the_same_time() -> None:
    class Hanging(Names):
        async def __call__(self, host: str, port: int) -> list[str]:
            await asyncio.sleep(60)
            return []

    assert await send("http://slow.example/", sender_of(Hanging(), timeout_s=0.1)) == Unanswered(
        "No answer came within 0.1 seconds."
    )


@pytest.mark.parametrize("reply", [Reply(status=200, babbles=True), Reply(status=200, holds_body=True)])
async def test_a_body_without_end_is_not_waited_for(receiver: WebhookReceiver, reply: Reply) -> None:
    """Only the head counts; a slow or endless rest makes no delivered message an undelivered one."""
    receiver.reply = reply
    assert await send(receiver.url()) == Answered(status=200)
    assert receiver.poured_bytes <= 16 << 20  # what the system buffers on the way


async def test_a_cut_connection_is_a_sentence(receiver: WebhookReceiver) -> None:
    receiver.reply = Reply(cuts=True)
    assert await send(receiver.url()) == Unanswered("The connection was lost before the receiver answered.")
    assert len(receiver.received) == 1


async def test_a_port_without_a_program_is_a_sentence() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        answer = await send(f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert answer == Unanswered("The receiver refused the connection: nothing listens there.")


async def test_what_is_no_http_is_a_sentence() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n" + b"x" * 100_000)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        answer = await send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert answer == Unanswered("The receiver's answer is no sound HTTP.")


async def test_headers_without_end_are_refused() -> None:
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            if writer.is_closing():
                break
            writer.write(b"X-%d: %s\r\n" % (number, b"y" * 1000))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        answer = await send(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", sender_of(timeout_s=10)
        )
    assert isinstance(answer, Unanswered)


async def test_the_address_that_was_judged_is_the_one_that_is_used(receiver: WebhookReceiver) -> None:
    names = Names(**{"receiver.example": ("127.0.0.1",)})
    assert await send(receiver.url(host="receiver.example"), sender_of(names)) == Answered(status=204)
    assert names.asked == ["receiver.example"]
    assert receiver.received[0].headers["host"] == f"receiver.example:{receiver.port}"


async def test_a_name_that_was_rebound_is_refused_at_the_next_attempt(receiver: WebhookReceiver) -> None:
    names = Names(**{"sly.example": ("127.0.0.1",)})
    sender = sender_of(names)
    assert await send(receiver.url(host="sly.example"), sender) == Answered(status=204)
    names.addresses["sly.example"] = ("169.254.169.254",)
    assert await send(receiver.url(host="sly.example"), sender) == Unanswered(
        "Webhooks must not point there: sly.example leads to 169.254.169.254, which is a metadata service of clouds."
    )
    assert len(receiver.received) == 1


async def test_a_name_of_two_minds_is_asked_once_and_only_where_it_may_be(receiver: WebhookReceiver) -> None:
    """A name whose answers change from question to question finds no second question."""

    class Flipping(Names):
        async def __call__(self, host: str, port: int) -> list[str]:
            self.asked.append(host)
            return ["127.0.0.1"] if len(self.asked) % 2 else ["169.254.169.254"]

    names = Flipping()
    sender = sender_of(names)
    answers = [await send(receiver.url(host="flip.example"), sender) for _ in range(4)]
    assert [isinstance(each, Answered) for each in answers] == [True, False, True, False]
    assert len(names.asked) == 4


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost.example"])
async def test_a_setting_closes_this_machine(receiver: WebhookReceiver, host: str) -> None:
    names = Names(**{"localhost.example": ("127.0.0.1",)})
    answer = await send(receiver.url(host=host), sender_of(names, rules=AddressRules(allow_loopback=False)))
    assert isinstance(answer, Unanswered)
    assert "this machine, which a setting forbids" in answer.reason
    assert receiver.received == []


@pytest.mark.parametrize("host", ["[::1]", "[0:0:0:0:0:0:0:1]"])
async def test_any_spelling_of_this_machine_is_reached(host: str) -> None:
    """With the system's own lookup: what is connected to is spelled otherwise than what was judged."""
    if not has_ipv6():
        pytest.skip("needs IPv6")
    async with run_receiver(address="::1") as receiver:
        gate = Gate(AddressRules(), NameLookup())
        answer = await HttpSender(gate, timeout_s=60).send(message_to(receiver.url(host=host)))
        assert answer == Answered(status=204)


async def test_the_next_address_is_tried_where_the_first_does_not_listen(receiver: WebhookReceiver) -> None:
    names = Names(localhost=("::1", "127.0.0.1"))
    assert await send(receiver.url(host="localhost"), sender_of(names)) == Answered(status=204)


async def test_a_socket_to_another_address_is_never_made() -> None:
    make = _only_to(frozenset({ipaddress.ip_address("127.0.0.1")}))
    make((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))).close()
    with pytest.raises(OSError, match="not judged"):
        make((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.2", 80)))


async def test_no_proxy_of_the_environment_comes_between(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert await send(receiver.url()) == Answered(status=204)


async def test_cookies_are_not_kept(receiver: WebhookReceiver) -> None:
    receiver.reply = Reply(headers={"Set-Cookie": "a=b"})
    sender = sender_of()
    await send(receiver.url(), sender)
    await send(receiver.url(), sender)
    assert all("cookie" not in each.headers for each in receiver.received)


async def test_a_cancelled_delivery_lets_the_connection_go(receiver: WebhookReceiver) -> None:
    receiver.reply = Reply(stalls=True)
    sending = asyncio.create_task(send(receiver.url()))
    await receiver.until(lambda: receiver.under_way == 1)
    sending.cancel()
    await receiver.until(lambda: receiver.under_way == 0)
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    try:
        subprocess.run(  # noqa: ASYNC221 - a moment, in a test
            ["openssl", *made, "-keyout", str(key), "-out", str(certificate)],  # noqa: S607
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("needs openssl")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with run_receiver(tls=tls) as receiver:
        answer = await send(receiver.url(host="127.0.0.1"))
        assert answer == Unanswered("The receiver's certificate cannot be trusted.")
        assert receiver.received == []
