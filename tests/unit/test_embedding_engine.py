"""The step loop of embedding models: who goes when, and what becomes of those who leave or fail."""

import math
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fakes.pooling_context import PoolingContext, make_runner
from puna.domain.embedding import EmbeddingRequest
from puna.engine.protocol import Embedded, Failed, FromWorker, Status
from puna.llama.context import DecodeResult, Vector
from puna.worker.embedding.engine import EmbeddingEngine
from puna.worker.embedding.task import PreparedInputs
from puna.worker.mailbox import Cancelled, CountedPrompt, Expected, Stop
from puna.worker.outbox import Outbox

Act = Callable[["Scene", int], DecodeResult]


class Scene:
    """An engine, what it told, and what happens in the middle of its decodes."""

    def __init__(self, act: Act = lambda _scene, _number: DecodeResult.OK, *, batch_tokens: int = 40) -> None:
        self.told: list[FromWorker] = []
        self.context = PoolingContext(lambda number: act(self, number))
        outbox = Outbox(self._take)
        runner = make_runner(self.context)
        self.engine = EmbeddingEngine(runner, outbox, slots=2, batch_tokens=batch_tokens)

    def ask(self, request_id: int, *lengths: int) -> None:
        """Send a request whose inputs have so many tokens, each of them the request's id."""
        request = EmbeddingRequest(inputs=(), is_normalised=False)
        inputs = [[request_id] * length for length in lengths]
        self.engine.put(Expected(request_id))
        self.engine.put(PreparedInputs(request_id, request, inputs))

    def run(self) -> None:
        """Run until it is told to stop."""
        self.engine.run()

    @property
    def answers(self) -> dict[int, list[tuple[float, ...]]]:
        """The vectors by request, in the order of the answers."""
        embedded = [message for message in self.told if isinstance(message, Embedded)]
        return {
            each.request_id: [struct.unpack("<2f", vector) for vector in each.embedding.vectors]
            for each in embedded
        }

    @property
    def failures(self) -> list[int | None]:
        return [message.request_id for message in self.told if isinstance(message, Failed)]

    @property
    def batches(self) -> list[list[int]]:
        """Of each decode, the ids of the requests whose inputs were in it, in their order."""
        return [[token for token, position, _ in batch if position == 0] for batch in self.context.decoded]

    def _take(self, messages: Sequence[FromWorker]) -> None:
        self.told += messages


def stop_after(last: int) -> Act:
    def act(scene: Scene, number: int) -> DecodeResult:
        if number == last:
            scene.engine._mailbox.put(Stop())
        return DecodeResult.OK

    return act


def test_inputs_of_several_requests_share_a_decode_and_each_gets_its_own() -> None:
    scene = Scene(stop_after(1))
    scene.ask(1, 3, 4)
    scene.ask(2, 5)
    scene.run()
    assert scene.batches == [[1, 1, 2]]
    assert scene.answers == {1: [(3, 3), (4, 4)], 2: [(10, 5)]}


def test_nobody_waits_for_the_whole_of_a_long_request() -> None:
    scene = Scene(stop_after(3))
    scene.ask(1, *[10] * 9)
    scene.ask(2, 10, 10)
    scene.ask(3, 30)
    scene.run()
    assert scene.batches == [[1, 1, 2, 2], [3, 1], [1, 1, 1, 1]]
    assert list(scene.answers) == [2, 3]


def test_vectors_keep_the_order_of_the_inputs_over_many_decodes() -> None:
    scene = Scene(stop_after(3), batch_tokens=6)
    scene.ask(1, 1, 2, 3, 4, 5)
    scene.run()
    assert scene.answers == {1: [(n, n) for n in (1, 2, 3, 4, 5)]}


def test_a_request_that_is_cancelled_leaves_its_place_to_others() -> None:
    def act(scene: Scene, number: int) -> DecodeResult:
        if number == 1:
            scene.engine.put(Cancelled(1))
        return stop_after(2)(scene, number)

    scene = Scene(act)
    scene.ask(1, *[40] * 5)
    scene.ask(2, 40)
    scene.run()
    assert scene.batches == [[1], [2]]
    assert list(scene.answers) == [2]


def test_cancelling_ends_a_decode_that_serves_nobody_else() -> None:
    results = []

    def act(scene: Scene, number: int) -> DecodeResult:
        if number == 1:
            scene.engine.put(Cancelled(1))
            results.append(scene.context.abort_flag.is_set)
            scene.engine._mailbox.put(Stop())
        return DecodeResult.OK

    scene = Scene(act)
    scene.ask(1, 40)
    scene.run()
    assert results == [True]
    assert scene.answers == {}


def test_cancelling_does_not_end_a_decode_that_serves_others() -> None:
    def act(scene: Scene, number: int) -> DecodeResult:
        scene.engine.put(Cancelled(1))
        assert not scene.context.abort_flag.is_set
        return stop_after(1)(scene, number)

    scene = Scene(act)
    scene.ask(1, 10)
    scene.ask(2, 10)
    scene.run()
    assert scene.batches == [[1, 2]]
    assert 2 in scene.answers


def test_what_an_aborted_decode_was_about_is_computed_again() -> None:
    def act(scene: Scene, number: int) -> DecodeResult:
        return DecodeResult.ABORTED if number == 1 else stop_after(2)(scene, number)

    scene = Scene(act)
    scene.ask(1, 10)
    scene.run()
    assert scene.answers == {1: [(10, 10)]}


@pytest.mark.parametrize("result", [DecodeResult.FAILED, DecodeResult.NO_CELLS])
def test_a_decode_that_fails_fails_the_requests_in_it_alone(result: DecodeResult) -> None:
    def act(scene: Scene, number: int) -> DecodeResult:
        return result if number == 1 else stop_after(2)(scene, number)

    scene = Scene(act)
    scene.ask(1, 40)
    scene.ask(2, 40)
    scene.run()
    assert scene.failures == [1]
    assert scene.answers == {2: [(80, 40)]}


def test_what_is_no_number_fails_its_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(stop_after(1))

    def pooled(sequence: int, size: int) -> Vector:
        return np.array([math.nan if sequence == 1 else 1, 0], dtype=np.float32)

    monkeypatch.setattr(scene.context, "pooled", pooled)
    scene.ask(1, 5)
    scene.ask(2, 5)
    scene.ask(3, 5)
    scene.run()
    assert scene.failures == [2]
    assert list(scene.answers) == [1, 3]


def test_a_request_that_was_cancelled_while_it_was_prepared_is_forgotten() -> None:
    scene = Scene()
    scene.engine.put(Expected(1))
    scene.engine.put(Cancelled(1))
    scene.engine.put(CountedPrompt(1, 5))
    scene.engine.put(Stop())
    scene.run()
    assert all(isinstance(message, Status) for message in scene.told)


def test_stopping_ends_the_running_decode() -> None:
    def act(scene: Scene, _: int) -> DecodeResult:
        scene.engine.put(Stop())
        return DecodeResult.OK

    scene = Scene(act)
    scene.ask(1, 10)
    scene.run()
    assert scene.context.abort_flag.is_set
    assert scene.answers == {}


def test_the_status_counts_decodes_and_tokens() -> None:
    scene = Scene(stop_after(2))
    scene.ask(1, 30, 30)
    scene.run()
    status = [message.status for message in scene.told if isinstance(message, Status)][-1]
    assert (status.steps, status.prompt_tokens, status.busy_slots, status.threads) == (2, 60, 0, 1)
