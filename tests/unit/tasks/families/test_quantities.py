"""Families with numbers as answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.tasks.families.quantities import FAMILIES, roman_numeral
from ctai.tasks.registry import by_name

pytestmark = pytest.mark.unit

VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


@given(st.integers(1, 3999))
def test_roman_numerals_have_the_value_they_stand_for(value):
    digits = [VALUES[letter] for letter in roman_numeral(value)]
    signed = [-a if a < b else a for a, b in zip(digits, [*digits[1:], 0], strict=True)]
    assert sum(signed) == value
    assert not any(letter * 4 in roman_numeral(value) for letter in VALUES)


@pytest.mark.parametrize(
    ("name", "key", "right", "wrong"),
    [
        ("percentage", "25 percent of 80", ["20", "It is twenty."], ["25", "20 or 25", "a quarter"]),
        ("remainder", "32 is divided by 6", ["2", "The remainder is 2."], ["5", "6", "2 or 3"]),
        ("double", "45", ["90", "45 + 45 = 90"], ["45", "900", "90 or 91"]),
        ("letter_count", "garden", ["6", "six letters"], ["5", "garden"]),
        ("from_roman", "XXIX", ["29"], ["31", "XXIX", "29 or 31"]),
        ("smallest_number", "89, 41, 54", ["41", "The smallest is 41."], ["54", "41, 54", "89, 41, 54"]),
    ],
)
def test_numbers(name, key, right, wrong):
    family = by_name(name)
    assert [text for text in right if not family.score(family.render(key, 0), text).content] == []
    assert [text for text in wrong if family.score(family.render(key, 0), text).content] == []


def test_answers_are_computed_right():
    answers = {family.name: family for family in FAMILIES}
    assert answers["percentage"].answer("75 percent of 40") == "30"
    assert {key: answers["double"].answer(key) for key in ("11", "99")} == {"11": "22", "99": "198"}
    for key in answers["word_problem"].keys:
        first, second = (int(word) for word in key.split() if word.isdecimal())
        assert answers["word_problem"].answer(key) == str(first + second if "more" in key else first - second)
        assert first > second
    for key in answers["remainder"].keys:
        a, b = (int(word) for word in key.split() if word.isdecimal())
        assert a % b == int(answers["remainder"].answer(key))
