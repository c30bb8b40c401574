"""Formats: content and layout decide, never the length, and another layout of the right items is wrong."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.tasks.base import Family
from ctai.tasks.families.layouts import FAMILIES
from ctai.tasks.registry import by_name
from tests.support.families import content

pytestmark = pytest.mark.unit

families = st.sampled_from(FAMILIES)


@pytest.mark.parametrize(
    ("name", "key", "right", "wrong"),
    [
        ("comma_list", "silver, winter and mirror", ["silver,winter,mirror", "Sure: silver, winter, mirror."],
         ["silver, winter and mirror", "silver, winter", "winter, silver, mirror", "silver winter mirror", ",,"]),
        ("bullet_list", "silver, winter and mirror", ["* silver\n* winter\n* mirror", "Here:\n- Silver\n- Winter\n- Mirror"],
         ["silver\nwinter\nmirror", "- silver, winter, mirror", "- silver\n- winter", "-silver\n-winter\n-mirror"]),
        ("numbered_list", "silver, winter and mirror", ["1) silver\n2) winter\n3) mirror"],
         ["1. silver\n3. winter\n2. mirror", "- silver\n- winter\n- mirror", "0. silver\n1. winter\n2. mirror"]),
        ("key_value", "name Ada, age 20", ["Name: Ada\nAge: 20", "```\nname: Ada\nage: 20\n```"],
         ["name: Ada, age: 20", "name: Ada", "age: 20\nname: Ben", "Ada\n20"]),
        ("csv_row", "name Ada, age 20, city Paris", ['"Ada", 20, "Paris"', "The row is: Ada,20,Paris"],
         ["Ada;20;Paris", "Ada,20", "name,Ada,age,20,city,Paris", "name,age,city\nAda,20,Paris"]),
        ("iso_date", "March 13, 2007", ["2007-03-13", "March 13, 2007 is 2007-03-13."],
         ["2007-13-03", "13-03-2007", "2007-03-13 or 2007-13-03", "2007-3-13", "not 2007-03-13", "maybe 2007-03-13"]),
        ("bold", "garden", ["**garden**", 'It is "**Garden**".'], ["*garden*", "__garden__ or **garden**", "**gardens**"]),
        ("hyphenate", "silver, candle, kitchen", ["silver-candle-kitchen"],
         ["silver candle kitchen", "silver-candle", "candle-silver-kitchen", "silver - candle - kitchen"]),
        ("yes_no", "is 4 an even number", ["yes", "Yes.", "Answer: yes"], ["no", "Yes, it is.", "yes or no", "even"]),
        ("lowercase", '"SILVER ORANGE"', ["silver orange"], ["Silver orange", "SILVER ORANGE", "silver"]),
        ("title_case", '"silver doctor"', ["Silver Doctor"], ["silver doctor", "SILVER DOCTOR", "Silver doctor"]),
    ],
)  # fmt: skip
def test_layouts(name: str, key: str, right: list[str], wrong: list[str]) -> None:
    assert key in by_name(name).keys
    assert [response for response in right if not content(name, key, response)] == []
    assert [response for response in wrong if content(name, key, response)] == []


@given(families, st.integers(0, 10**6))
def test_the_answer_to_another_key_is_wrong(family: Family, seed: int) -> None:
    key, other = random.Random(seed).sample(family.keys, 2)
    same = family.answer(key) == family.answer(other)
    assert family.score(family.render(key, 0), family.answer(other)).content is same


@given(families, st.integers(0, 10**6), st.sampled_from([" ", "-", ";", "/", "", "\n", ", "]))
def test_answers_with_another_separator_pass_only_where_they_are_the_answer(
    family: Family, seed: int, separator: str
) -> None:
    key = random.Random(seed).choice(family.keys)
    answer = family.answer(key)
    if family.name in ("comma_list", "hyphenate", "csv_row"):
        used = {"comma_list": ",", "hyphenate": "-", "csv_row": ","}[family.name]
        changed = answer.replace(", ", used).replace(used, separator)
        expected = separator.strip(" ") == used
        assert family.score(family.render(key, 0), changed).content is expected
