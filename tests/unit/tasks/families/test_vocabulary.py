"""Families about words, facts and translation."""

import pytest

from ctai.tasks.data import facts
from ctai.tasks.registry import by_name

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "key", "right", "wrong"),
    [
        ("last_word", '"Two birds sat in the tree."', ["tree", "Tree.", 'The last word is "tree".',
         'The last word of "Two birds sat in the tree." is tree.'],
         ["the tree", "in the tree", "Two birds sat in the tree.", "birds", "birds or tree", "The last word is sat."]),
        ("acronym", "European Union", ["EU", "It is EU."], ["eu", "EUR", "EU or UN", "European Union"]),
        ("nth_letter", "fourth letter of the word silver", ["v", "V.", 'It is "v".'], ["s", "v or e", "l"]),
        ("ing_form", "sit", ["sitting"], ["siting", "sat", "sit"]),
        ("compound", '"snow" and "ball"', ["snowball"], ["snow ball", "snow-ball", "ballsnow"]),
        ("currency", "Denmark", ["krone", "the Danish krone"], ["euro", "Swedish krona", "krone or euro"]),
        ("author", "Animal Farm", ["Orwell", "It was written by George Orwell."], ["Huxley", "Orwell or Huxley"]),
        ("landmark", "the Colosseum", ["Italy", "Rome, Italy", "It is in Italy."], ["Rome", "Greece", "Italy or Greece"]),
        ("country_of_capital", "Rome", ["Italy", "Rome is the capital of Italy."], ["Rome", "Spain"]),
        ("to_english", 'German word "Hund"', ["dog", '"dog"'], ["Hund", "hound", "cat", "dog or cat"]),
        ("foreign_number", "3 in Spanish", ["tres"], ["tre", "three", "dos", "3"]),
        ("dutch", '"house"', ["huis"], ["Haus", "house", "huis or hond"]),
    ],
)  # fmt: skip
def test_answers(name, key, right, wrong):
    family = by_name(name)
    instruction = family.render(key, 0)
    assert [text for text in right if not family.score(instruction, text).content] == []
    assert [text for text in wrong if family.score(instruction, text).content] == []


def test_tables_are_well_formed():
    assert all(form.endswith("ing") and form[0] == verb[0] for verb, form in facts.ING_FORMS.items())
    assert all(value.isupper() for value in facts.ACRONYMS.values())
    assert len({sentence.split()[-1] for sentence in facts.SENTENCES}) == len(facts.SENTENCES)
