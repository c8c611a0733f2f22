"""Whose request it is on a path that two APIs claim."""

import pytest

from puna.api.claimants import Claimant, claimant_of, names_of_fields


@pytest.mark.parametrize(
    ("fields", "claimant"),
    [
        ({"model_name", "prompt"}, Claimant.LAMINI),
        ({"prompt", "out_type"}, Claimant.LAMINI),
        ({"prompt", "output_type"}, Claimant.LAMINI),
        ({"model", "prompt", "out_type"}, Claimant.LAMINI),
        ({"model", "prompt"}, Claimant.OPENAI),
        ({"model", "messages", "stream"}, Claimant.OPENAI),
        ({"prompt"}, Claimant.NOBODY),
        (set(), Claimant.NOBODY),
    ],
)
def test_the_fields_tell_whose_it_is(fields: set[str], claimant: Claimant) -> None:
    assert claimant_of(fields, has_lamini_version=False) is claimant


@pytest.mark.parametrize("fields", [{"model", "prompt"}, {"prompt"}, set()])
def test_lamini_s_header_tells_it_whatever_the_fields(fields: set[str]) -> None:
    assert claimant_of(fields, has_lamini_version=True) is Claimant.LAMINI


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"model": "demo", "prompt": null}', {"model", "prompt"}),
        (b'\xef\xbb\xbf{"model": "demo"}', {"model"}),
        (b"", set()),
        (b"[1]", set()),
        (b'{"model": ', set()),
        (b'{"model": "\xff"}', {"model"}),
        (b'{"model": ' + b"[" * 100_000, set()),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_no_object_has_no_fields(body: bytes, names: set[str]) -> None:
    assert names_of_fields(body) == names
