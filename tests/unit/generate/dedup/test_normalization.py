"""Normal form, shingles and salient tokens of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.generate.dedup import normalization

pytestmark = pytest.mark.unit


def test_each_mark_is_found() -> None:
    tokens = normalization.salient_tokens("Is Anna's 'red book' well-known, or are 3.5 - two > 1 in group c?")
    assert tokens.names == ("anna",)
    assert tokens.quoted == ("red book",)
    assert tokens.numbers == ("3.5", "-", "2", ">", "1")
    assert tokens.letters == ("c",)


@given(st.text(max_size=60))
def test_normalization_is_stable(text: str) -> None:
    once = normalization.normalize(text)
    assert normalization.normalize(once) == once
    assert normalization.shingles(text)
