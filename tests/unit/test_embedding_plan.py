"""Which inputs share a decode, and how long they may be."""

from puna.worker.embedding.plan import plan_batch, plan_batch_tokens, plan_length


def test_short_inputs_of_all_requests_share_a_batch() -> None:
    assert plan_batch([[10, 10, 10], [20]], tokens=100, inputs=64) == [3, 1]


def test_requests_take_turns_until_the_batch_is_full() -> None:
    assert plan_batch([[30] * 10, [30] * 10, [30] * 10], tokens=120, inputs=64) == [2, 1, 1]


def test_a_batch_has_at_most_so_many_inputs() -> None:
    assert plan_batch([[1] * 10, [1] * 2], tokens=100, inputs=5) == [3, 2]


def test_the_first_input_goes_in_however_long_it_is() -> None:
    assert plan_batch([[2000, 5], [5]], tokens=512, inputs=64) == [1, 0]


def test_what_does_not_fit_waits_while_shorter_ones_of_others_go_in() -> None:
    assert plan_batch([[10, 500], [10, 10], [600]], tokens=100, inputs=64) == [1, 2, 0]


def test_inputs_of_a_request_keep_their_order() -> None:
    assert plan_batch([[60, 60, 1]], tokens=100, inputs=64) == [1]


def test_a_request_whose_inputs_are_all_in_leaves_the_rest_to_others() -> None:
    assert plan_batch([[], [10], []], tokens=100, inputs=64) == [0, 1, 0]
    assert plan_batch([], tokens=100, inputs=64) == []


def test_the_longest_input_is_what_was_trained_or_the_default() -> None:
    assert plan_length(trained=512, wanted=None, default=2048) == 512
    assert plan_length(trained=32_768, wanted=None, default=2048) == 2048
    assert plan_length(trained=0, wanted=None, default=2048) == 2048


def test_a_wanted_length_goes_up_to_what_was_trained() -> None:
    assert plan_length(trained=32_768, wanted=8192, default=2048) == 8192
    assert plan_length(trained=512, wanted=8192, default=2048) == 512
    assert plan_length(trained=512, wanted=64, default=2048) == 64


def test_a_large_vocabulary_makes_batches_smaller() -> None:
    assert [plan_batch_tokens(n_vocab=size) for size in (0, 30_000, 250_000, 10**7)] == [512, 512, 268, 128]
