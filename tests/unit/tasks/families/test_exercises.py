"""Exercises: the content and the form decide, and a right fact in another form is wrong."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.tasks import registry
from ctai.tasks.base import Family
from ctai.tasks.families.exercises import FAMILIES
from ctai.tasks.families.forms import BRACKETED, CAPITALS, QUOTED, as_word, as_words
from ctai.tasks.registry import by_name
from tests.support.families import content

pytestmark = pytest.mark.unit

families = st.sampled_from(FAMILIES)


@pytest.mark.parametrize(
    ("name", "key", "right", "wrong"),
    [
        ("capitals_only", "north", ["NORTH", "North in capitals: NORTH", '"NORTH"', "The word is NORTH."],
         ["North", "NORTHS", "SOUTH", "North or NORTH", "Not NORTH but north.", "THE WORD IS NORTH OR SOUTH"]),
        ("quoted", "fox", ['"fox"', "'fox'", "\u201cFox\u201d", "\u00abfox\u00bb", '"fox."', 'The word is "fox".'],
         ["fox", '"cat"', '"the fox"', '"fox', "(fox)", '"fox" or "cat"', 'Not "fox", but fox.']),
        ("bracketed", "fox", ["(fox)", "[Fox]", "{fox}", "( fox )", "With brackets: (fox)."],
         ["fox", '"fox"', "(fox", "(the fox)", "(cat)", "() fox", "(fox) or (cat)"]),
        ("starred", "fox", ["*fox*", "* Fox *", "\u2605fox\u2605", "With stars: *fox*."],
         ["fox", "(fox)", "*fox", "*the fox*", "*cat*", "** fox", "*fox* or *cat*", "*fox* or *banjo*"]),
        ("repeated", "apple twice", ["apple apple", "Apple, apple!", "1. apple\n2. apple", '"apple apple"'],
         ["apple", "apple apple apple", "apple apples", "apple twice", "apple x apple", "Not: apple apple"]),
        ("json_pair", "animal dog", ['{"animal": "dog"}', '```json\n{"Animal": "Dog"}\n```', 'As JSON: {"animal":"dog"}.'],
         ["animal: dog", "{animal: dog}", '{"animal": "cat"}', '{"animal": "dog", "size": "big"}', '["animal", "dog"]',
          '{"animal": "cat", "animal": "dog"}', '{"animal": "dog"} {"animal": "dog"}', 'Not this: {"animal": "dog"}']),
        ("reversed", "red, elephant, lemon", ["lemon elephant red", "In reverse order, they become lemon, elephant and red."],
         ["red, elephant, lemon", "lemon, red, elephant", "lemon, elephant", "lemon, elephant, red, dog"]),
        ("sorted", "5, 2, 7", ["2 5 7", "2 < 5 < 7", "By size, 5, 2, 7 become 2, 5, 7.", "two, five, seven"],
         ["7, 5, 2", "2, 5", "2, 5, 7, 8", "2, 5, 7 or 2, 7, 5", "not 2, 5, 7"]),
        ("capital_in_capitals", "Brazil", ["BRASILIA", "BRAS\u00cdLIA", "The capital of Brazil is BRASILIA.", "BRASILIA, BRAZIL"],
         ["Brasilia", "BRASILia", "RIO", "BRAZIL", "BRASILIA OR RIO", "THE CAPITAL IS BRASILIA OR RIO"]),
        ("quoted_opposite", "hot", ['"cold"', '"Cold".', "'cool'", 'The opposite of "hot" is "cold".', '"icy"'],
         ["cold", '"hot"', "(cold)", 'The opposite of "hot" is cold.', '"cold" or "soft"', 'Not "cold".']),
        ("color_in_a_word", "ash", ["grey", "Gray.", "**gray**", "Color: gray"],
         ["It is gray.", "light gray", "gray or white", "ash", "not gray"]),
        ("plural_twice", "bus", ["buses buses", "Busses, busses", '"buses" "buses"', "- buses\n- buses"],
         ["buses", "bus bus", "buses buses buses", "bus buses", "The plural is buses."]),
        ("following", "two days after Sunday", ["Monday and Tuesday", "After Sunday come Monday and Tuesday."],
         ["Monday", "Tuesday, Monday", "Sunday, Monday", "Monday or Tuesday", "Monday, Tuesday, Wednesday"]),
        ("following", "two numbers after 9", ["ten and eleven", "10 11", "The two numbers after 9 are 10 and 11."],
         ["9, 10", "10", "10, 11, 12", "11, 10"]),
        ("range", "4 to 7", ["4 5 6 7", "four, five, six, seven", "The numbers from 4 to 7 are 4, 5, 6 and 7.", "4\n5\n6\n7"],
         ["4 to 7", "4, 5, 6", "5, 6", "7, 6, 5, 4", "4, 5, 6, 7, 8", "4, 5, 6, 7 or 4, 7"]),
    ],
)  # fmt: skip
def test_exercises(name: str, key: str, right: list[str], wrong: list[str]) -> None:
    assert key in by_name(name).keys
    assert [response for response in right if not content(name, key, response)] == []
    assert [response for response in wrong if content(name, key, response)] == []


@given(families, st.integers(0, 10**6))
def test_every_reply_is_right_in_every_wording(family: Family, seed: int) -> None:
    key = random.Random(seed).choice(family.keys)
    for phrasing, answer in ((phrasing, answer) for phrasing in range(3) for answer in family.accepted(key)):
        instruction, reply = family.render(key, phrasing), family.reply(key, answer)
        assert family.score(instruction, reply, "eos").strict
        assert registry.score(instruction, reply, "eos").strict
        run_on = f"{reply}\n\nInstruction: {instruction}\nResponse: {reply}"
        assert registry.score(instruction, run_on, "length")[:2] == (True, False)


@given(families, st.integers(0, 10**6))
def test_the_answer_to_another_key_is_wrong_unless_equal(family: Family, seed: int) -> None:
    key, other = random.Random(seed).sample(family.keys, 2)
    if family.name == "color_in_a_word":  # soil is brown or black
        same = as_word(family.answer(other)) in by_name("color").accepted(key)
    else:
        same = family.answer(other) in family.accepted(key)
    assert family.score(family.render(key, 0), family.answer(other)).content is same


@given(families, st.integers(0, 10**6), st.sampled_from(["I'm sorry, I can't do that.", "I do not know.", "?", "yes"]))
def test_a_refusal_is_wrong(family: Family, seed: int, text: str) -> None:
    key = random.Random(seed).choice(family.keys)
    assert not family.score(family.render(key, seed % 3), text).content


def test_no_text_is_an_instruction_of_two_families() -> None:
    for family in FAMILIES:
        for text, key in family.index.items():
            assert registry.parse(text) == (family.name, key)


@pytest.mark.parametrize(
    ("form", "text", "count"),
    [
        (CAPITALS, "DOG, dog, Dog and DOGS", 1),
        (QUOTED, "\"dog\", 'Dog.' and dog's", 2),
        (BRACKETED, "(dog) [ dog ] {Dog} (dogs) (dog]", 3),
    ],
)
def test_forms_count_the_answers_that_have_them(form, text: str, count: int) -> None:
    assert form.occurrences("dog", text) == count


def test_words_are_read_without_marks_and_not_out_of_other_text() -> None:
    assert as_words("1. Dog\n2. dog") == as_words("dog, dog.") == ("dog", "dog")
    assert as_words("dog = dog") == as_words("") == ()
    assert as_word(' **"Red"**.') == "red"
