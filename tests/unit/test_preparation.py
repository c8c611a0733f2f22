"""The threads that prepare requests, and what the step loops hear of it."""

import threading
from collections.abc import Callable

from msgspec import Struct

from puna.engine.protocol import Counted, Failed, FromWorker
from puna.errors import ErrorKind, InvalidRequestError
from puna.worker.mailbox import Cancelled, CountedPrompt, Expected, Mailbox, Stop, UnpreparedRequest
from puna.worker.outbox import Outbox
from puna.worker.preparation import Preparation

PATIENCE_S = 60


class Asked(Struct, frozen=True):
    request_id: int


class Prepared(Struct, frozen=True):
    request_id: int


class Workshop:
    """Threads whose work the test decides, and what they handed on."""

    def __init__(self, work: Callable[[Asked], None]) -> None:
        self.handed_on: list[Prepared | UnpreparedRequest] = []
        self._work = work
        self._has_news = threading.Condition()
        self.preparation: Preparation[Asked, Prepared] = Preparation(self._prepare, self._take)

    def wait_for(self, count: int) -> None:
        with self._has_news:
            assert self._has_news.wait_for(lambda: len(self.handed_on) >= count, PATIENCE_S)

    def _prepare(self, message: Asked) -> Prepared:
        self._work(message)
        return Prepared(message.request_id)

    def _take(self, outcome: Prepared | UnpreparedRequest) -> None:
        with self._has_news:
            self.handed_on.append(outcome)
            self._has_news.notify_all()


class RustPanic(BaseException):
    """As pyo3 raises it."""


def test_whatever_a_preparation_raises_fails_that_request_alone() -> None:
    failures = {1: InvalidRequestError("No."), 2: ValueError("odd"), 3: RustPanic("panicked")}

    def work(message: Asked) -> None:
        if message.request_id in failures:
            raise failures[message.request_id]

    workshop = Workshop(work)
    for request_id in (1, 2, 3, 4):
        workshop.preparation.submit(Asked(request_id))
    workshop.wait_for(4)
    assert Prepared(4) in workshop.handed_on
    kinds = {
        each.request_id: each.error.kind for each in workshop.handed_on if isinstance(each, UnpreparedRequest)
    }
    assert kinds == {
        1: ErrorKind.INVALID_REQUEST,
        2: ErrorKind.GENERATION_FAILED,
        3: ErrorKind.GENERATION_FAILED,
    }


def test_a_long_preparation_delays_no_other() -> None:
    may_end = threading.Event()

    def work(message: Asked) -> None:
        if message.request_id == 1:
            assert may_end.wait(PATIENCE_S)

    workshop = Workshop(work)
    for request_id in (1, 2, 3):
        workshop.preparation.submit(Asked(request_id))
    workshop.wait_for(2)
    assert workshop.handed_on == [Prepared(2), Prepared(3)]
    may_end.set()
    workshop.wait_for(3)


def test_a_request_that_nobody_wants_any_more_is_not_prepared() -> None:
    may_go_on = threading.Event()
    are_working = threading.Semaphore(0)

    def work(_: Asked) -> None:
        are_working.release()
        assert may_go_on.wait(PATIENCE_S)

    workshop = Workshop(work)
    for request_id in (1, 2, 3, 4):
        workshop.preparation.submit(Asked(request_id))
    for _ in range(2):
        assert are_working.acquire(timeout=PATIENCE_S)
    workshop.preparation.forget(3)
    may_go_on.set()
    workshop.wait_for(3)
    assert {each.request_id for each in workshop.handed_on} == {1, 2, 4}


def take_all(*commands: Expected | CountedPrompt | UnpreparedRequest | Cancelled | Stop | Prepared) -> object:
    """Return what the loop acts upon, and what was answered at once."""
    told: list[FromWorker] = []
    outbox = Outbox(told.extend)
    mailbox: Mailbox[Prepared] = Mailbox(outbox)
    for command in commands:
        mailbox.put(command)
    acted_upon = list(mailbox.take(is_idle=False))
    if outbox._messages:
        told += outbox._messages
    return acted_upon, told, mailbox.expected


def test_what_comes_of_a_cancelled_request_is_left_out() -> None:
    late = (Prepared(1), CountedPrompt(1, 5), UnpreparedRequest(1, InvalidRequestError("No.")))
    for each in late:
        assert take_all(Expected(1), Cancelled(1), each) == ([Cancelled(1)], [], 0)


def test_answers_that_need_no_step_are_given_at_once() -> None:
    expected = [Expected(request_id) for request_id in (1, 2, 3)]
    failed = UnpreparedRequest(2, InvalidRequestError("No."))
    expected_told = [Counted(1, 7), Failed(2, ErrorKind.INVALID_REQUEST, "No.")]
    assert take_all(*expected, CountedPrompt(1, 7), failed, Stop()) == ([Stop()], expected_told, 1)


def test_a_loop_that_is_idle_waits_for_one_command_only() -> None:
    mailbox: Mailbox[Prepared] = Mailbox(Outbox(lambda _messages: None))
    mailbox.put(Expected(1))
    assert list(mailbox.take(is_idle=True)) == []
    assert mailbox.expected == 1
