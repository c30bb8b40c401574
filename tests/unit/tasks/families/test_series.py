"""Series: every item, in order, and none beside them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.tasks.families.series import FAMILIES
from ctai.tasks.registry import by_name

pytestmark = pytest.mark.unit


@given(
    st.sampled_from(FAMILIES), st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(["drop", "swap", "add"])
)
def test_a_series_with_one_item_changed_is_wrong(family, seed, place, change):
    key = family.keys[seed % len(family.keys)]
    items = family.answer(key).split(", ")
    at = place % (len(items) - 1)
    if change == "drop":
        items.pop(at)
    elif change == "swap":
        items[at], items[at + 1] = items[at + 1], items[at]
    else:
        items.insert(at, "97" if family.numeric else "apple")
    for separator in (", ", "\n", " "):
        assert not family.score(family.render(key, 0), separator.join(items)).content


@pytest.mark.parametrize("separator", [", ", " ", "\n", " and "])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_any_separator_and_a_repeated_question_do_no_harm(family, separator):
    for key in family.keys:
        series = family.answer(key).replace(", ", separator)
        assert family.score(family.render(key, 1), series).content
    key = "from 8 to 13"
    assert (
        by_name("counting").score(f"Count up {key}.", "The numbers from 8 to 13 are 8, 9, 10, 11, 12 and 13.").content
    )
    assert not by_name("counting").score(f"Count up {key}.", "from 8 to 13").content
