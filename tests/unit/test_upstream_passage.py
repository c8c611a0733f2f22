"""Through which Punas a request came."""

from puna.engine.upstream.passage import note_passed, passage_through, read_passed


def test_what_was_passed_is_read_from_all_headers_in_their_order() -> None:
    assert read_passed(["0a, 1b", "2c"]) == ("0a", "1b", "2c")
    assert read_passed([]) == read_passed([""]) == ()


def test_what_is_no_instance_goes_no_further() -> None:
    assert read_passed(["a b, \udcff, " + "x" * 65 + ", ä, a\tb, 1b"]) == ("1b",)


def test_a_passage_does_not_grow_without_end() -> None:
    note_passed(tuple(map(str, range(1000))))
    passage = passage_through("here").split(", ")
    assert len(passage) == 32
    assert passage[-2:] == ["999", "here"]
    note_passed(())
