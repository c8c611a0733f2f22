"""How inputs become batches of a context."""

from fakes.pooling_context import PoolingContext, make_runner
from puna.llama.context import DecodeResult


def test_all_inputs_go_into_one_decode_with_every_token_an_output() -> None:
    context = PoolingContext()
    computed = make_runner(context).compute([[7, 8], [9]])
    assert context.decoded == [[(7, 0, 0), (8, 1, 0), (9, 0, 1)]]
    assert context.outputs == [3]
    assert [vector.tolist() for vector in computed.vectors] == [[15, 2], [9, 1]]


def test_where_the_last_token_counts_the_others_go_ahead_without_outputs() -> None:
    context = PoolingContext()
    computed = make_runner(context, capacity=3, pools_last=True).compute([[1, 2, 3, 4], [5], [6, 7, 8]])
    assert context.decoded == [
        [(1, 0, 0), (2, 1, 0), (3, 2, 0)],
        [(6, 0, 2), (7, 1, 2)],
        [(4, 3, 0), (5, 0, 1), (8, 2, 2)],
    ]
    assert context.outputs == [0, 0, 3]
    assert context.is_pooling
    assert [vector.tolist() for vector in computed.vectors] == [[10, 4], [5, 1], [21, 3]]


def test_inputs_of_one_token_have_nothing_to_go_ahead() -> None:
    context = PoolingContext()
    make_runner(context, pools_last=True).compute([[1], [2]])
    assert context.outputs == [2]


def test_a_decode_that_fails_ahead_ends_it() -> None:
    context = PoolingContext(lambda _: DecodeResult.FAILED)
    computed = make_runner(context, pools_last=True).compute([[1, 2]])
    assert (computed.result, computed.vectors) == (DecodeResult.FAILED, ())
    assert len(context.decoded) == 1


def test_nothing_is_left_of_the_inputs_before() -> None:
    context = PoolingContext()
    runner = make_runner(context)
    runner.compute([[1, 2, 3]])
    assert runner.compute([[4]]).vectors[0].tolist() == [4, 1]


def test_an_interruption_between_decodes_does_not_reach_the_next() -> None:
    runner = make_runner(PoolingContext())
    runner.interrupt(1)
    runner.interrupt()
    assert runner.compute([[1]], frozenset({1})).result is DecodeResult.OK
