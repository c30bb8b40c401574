"""Families with tables: correct answers, rivals, negations and letters."""

from __future__ import annotations

import pytest

from ctai.tasks.base import Family, normalize_case_and_spacing
from ctai.tasks.families.tables import TableFamily
from ctai.tasks.registry import FAMILIES, score

pytestmark = pytest.mark.unit

TABLES = [family for family in FAMILIES if isinstance(family, TableFamily)]
CAPITAL = "What is the capital of France?"


def content(instruction: str, response: str) -> bool:
    return score(instruction, response).content


@pytest.mark.parametrize("family", TABLES, ids=lambda family: family.name)
def test_a_rival_beside_the_answer_fails(family: Family) -> None:
    for key, rival in zip(family.keys, (*family.keys[7:], *family.keys[:7]), strict=True):
        wrong = family.answer(rival)
        asked = normalize_case_and_spacing(family.render(key, 0)).replace("-", " ").replace(",", " ").split()
        if wrong in family.accepted(key) or wrong.casefold() in asked or wrong == "1":
            continue
        right = family.answer(key)
        doubled = (f"{right} or {wrong}", f"{wrong} or {right}", f"{right}, {wrong}", f"It is {right} or {wrong}.")
        for text in doubled:
            assert not content(family.render(key, 0), text), text
        assert content(family.render(key, 0), f"It is {right}, not {wrong}."), key


@pytest.mark.parametrize("family", TABLES, ids=lambda family: family.name)
def test_a_negated_answer_fails(family: Family) -> None:
    for key in family.keys:
        answer = family.answer(key)
        for text in (f"not {answer}", f"It isn't {answer}.", f"It is never {answer}"):
            assert score(family.render(key, 0), text).reason == "negated", text


@pytest.mark.fault(19, plant="right, wrong and evasive answers of any length", check="scorers against labels")
@pytest.mark.parametrize(
    ("instruction", "response", "reason"),
    [
        (CAPITAL, "Paris", ""),
        (CAPITAL, "paris.", ""),
        (CAPITAL, "The capital of France is Paris.", ""),
        (CAPITAL, "Sure! The capital of France is Paris.", ""),
        (CAPITAL, "Paris, France", ""),
        (CAPITAL, "It's Paris, not Rome.", ""),
        (CAPITAL, "Not Rome but Paris", ""),
        (CAPITAL, "Rome is wrong, it is Paris.", ""),
        (CAPITAL, "Paris, which lies in the north of the country.", ""),
        (CAPITAL, "France is a country in Europe. Its capital is Paris.", ""),
        (CAPITAL, "Paris or Rome", "several answers"),
        (CAPITAL, "Paris or Lyon", "several answers"),
        (CAPITAL, "Lyon/Paris", "several answers"),
        (CAPITAL, "Paris, Lyon, Nice", "several answers"),
        (CAPITAL, "Paris\nRome", "several answers"),
        (CAPITAL, "Lyon", "wrong answer"),
        (CAPITAL, "Parisian", "wrong answer"),
        (CAPITAL, "The capital of France is Lyon. Paris is big.", "wrong answer"),
        (CAPITAL, "not Paris", "negated"),
        (CAPITAL, "Paris is not the capital of France.", "negated"),
        (CAPITAL, "I don't think it is Paris", "negated"),
        (CAPITAL, "I'm sorry, I can't help with that.", "refusal"),
        (CAPITAL, "Paris " * 30, "too long"),
        (CAPITAL, "Paris Paris Paris Paris", "repeated"),
        ("What is 3 + 4?", "7 or 3", "several answers"),
        ("What is the opposite of hot?", "hot or cold", "several answers"),
        ("What is the opposite of left?", "left or right", "several answers"),
        (CAPITAL, "what is the capital of france", "echo"),
        ("What is the capital of Mexico?", "Mexico", "wrong answer"),
        ("What is the capital of Mexico?", "The capital of Mexico is Mexico City.", ""),
        ("What is the capital of Ukraine?", "Kiev", ""),
        ("What is the capital of Brazil?", "Brasília", ""),
        ("On which continent is Canada?", "America", "wrong answer"),
        ("On which continent is Canada?", "Canada is in North America.", ""),
        ("What is the opposite of true?", "false", ""),
        ("What is the opposite of wrong?", "The opposite of wrong is right.", ""),
        ("What is the opposite of hot?", "cold water", "wrong answer"),
        ("What is the opposite of big?", "small or little", ""),
        ("What is the opposite of hot?", "The right answer is cold.", ""),
        ("What is the plural of mouse?", "mouses", "wrong answer"),
        ("What is the plural of mouse?", "mice", ""),
        ("How many legs does the dog have?", "A dog has four legs.", ""),
        ("How many legs does the dog have?", "4 legs", ""),
        ("How many legs does the dog have?", "24", "wrong answer"),
        ("How many legs does the dog have?", "4 or 5", "several answers"),
        ("How many legs does the snake have?", "A snake has no legs.", ""),
        ("How many legs does the snake have?", "none", ""),
        ("What is 3 + 4?", "seven", ""),
        ("What is 3 + 4?", "3 + 4 = 7", ""),
        ("What is 3 + 4?", "three plus four is seven", ""),
        ("What is 3 + 4?", "7.0", ""),
        ("What is 3 + 4?", "7.5", "wrong answer"),
        ("What is 3 + 4?", "-7", "wrong answer"),
        ("What is 3 + 4?", "3 + 4", "wrong answer"),
        ("Which number comes right after 20?", "Twenty-one", ""),
        ("Which number comes right after 0?", "ninety-one", "wrong answer"),
        ("Write the number 21 in words.", "twenty one", ""),
        ("Write the number 1 in words.", "twenty-one", "wrong answer"),
        ("Write the number 7 in words.", "7", "wrong answer"),
        ("What is the chemical symbol for gold?", "Au", ""),
        ("What is the chemical symbol for gold?", "AU", "wrong answer"),
        ("What is the chemical symbol for carbon?", "The chemical symbol for carbon is C.", ""),
        ("What is the chemical symbol for carbon?", "c", "wrong answer"),
        ("What sound does the dog make?", "A dog barks.", ""),
        ("What kind of thing is apple?", "An apple is a fruit.", ""),
        ("What comes right after Monday?", "Tuesday comes right after Monday.", ""),
        ("What are windows usually made of?", "wood and glass", "several answers"),
    ],
)
def test_short_answers_are_judged_as_a_person_would(instruction: str, response: str, reason: str) -> None:
    assert score(instruction, response).reason == reason


@pytest.mark.parametrize(
    ("word", "response", "right"),
    [
        ("apple", "a", True),
        ("apple", "A.", True),
        ("apple", 'The word starts with "a".', True),
        ("apple", "The letter a", True),
        ("apple", "A is the first letter of apple.", True),
        ("apple", "a sentence", False),
        ("apple", "This is a test", False),
        ("apple", "a or b", False),
        ("apple", "an", False),
        ("apple", "b", False),
        ("apple", "not a", False),
        ("apple", "apple", False),
        ("banana", "It starts with a b.", True),
        ("banana", "b, a", False),
        ("iron", "I think it is i.", True),
        ("iron", "I do not know", False),
        ("banana", "B", True),
        ("banana", "bb", False),
    ],
)
def test_a_letter_is_not_confused_with_a_word(word: str, response: str, right: bool) -> None:
    assert content(f"What is the first letter of {word}?", response) is right
