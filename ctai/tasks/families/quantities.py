"""General families whose answer is a number: arithmetic in words, counting, Roman numerals. Owns wordings and keys."""

from __future__ import annotations

from dataclasses import dataclass

from ctai.tasks.base import Family
from ctai.tasks.data import general
from ctai.tasks.families.builders import table_family
from ctai.tasks.families.tables import TableFamily
from ctai.tasks.matching import answers
from ctai.tasks.matching.numbers import is_number

_ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
          (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


@dataclass(frozen=True, eq=False)
class ChoiceFamily(TableFamily):
    """Family that asks for one of the numbers of its key; every other of them is a rival of the answer."""

    def _roles(self, key: str, tokens: list[str]) -> dict[answers.Phrase, str]:
        options = {(token,): "rival" for token in self._tokens(key) if is_number(token)}
        return super()._roles(key, tokens) | options | {tuple(self._tokens(self.answer(key))): "answer"}


def roman_numeral(value: int) -> str:
    """Write a whole number from 1 to 3999 as a Roman numeral."""
    text = ""
    for size, numeral in _ROMAN:
        count, value = divmod(value, size)
        text += numeral * count
    return text


def _percentages() -> Family:
    cases = [(percent, base) for percent in (5, 10, 20, 25, 50, 75) for base in (40, 60, 80, 120, 200, 300, 400, 600)]
    table = {f"{p} percent of {b}": (str(p * b // 100),) for p, b in cases if p * b // 100 not in (p, b, 1)}
    return table_family("percentage", "number",
                        ("What is {key}?", "How much is {key}?", "Calculate {key}."),
                        "If one calculates {key}, the result is {answer}.", table, numeric=True)


def _remainders() -> Family:
    cases = [(11 + 7 * at % 53, 3 + at % 7) for at in range(80)]
    table = {f"{a} is divided by {b}": (str(a % b),) for a, b in cases if a % b > 1}
    return table_family("remainder", "number",
                        ("What is the remainder when {key}?", "What remains when {key}?", "Give the remainder when {key}."),
                        "When {key}, the remainder is {answer}.", table, numeric=True)


def _smallest() -> Family:
    groups = [[(at * step) % 89 + 2 for step in (29, 13, 47)] for at in range(1, 46)]
    table = {", ".join(map(str, group)): (str(min(group)),) for group in groups if len(set(group)) == 3}
    return ChoiceFamily("smallest_number", "number", False,
                        ("What is the smallest of these numbers: {key}?", "Which of these numbers is the smallest: {key}?",
                         "Give the smallest of the numbers {key}."),
                        ("The smallest of the numbers {key} is {answer}.",), tuple(table), table, numeric=True)


def _doubles() -> Family:
    table = {str(number): (str(2 * number),) for number in range(11, 100, 2)}
    return table_family("double", "number",
                        ("What is twice {key}?", "Double the number {key}.", "What is double {key}?"),
                        "Twice {key} is {answer}.", table, numeric=True)


def _letter_counts() -> Family:
    table = {word: (str(len(word)),) for word in general.PLAIN_WORDS + general.LONG_WORDS}
    return table_family("letter_count", "number",
                        ("How many letters does the word {key} have?", "Count the letters of the word {key}.",
                         "What is the number of letters in the word {key}?"),
                        "The word {key} has {answer} letters.", table, numeric=True)


def _word_problems() -> Family:
    things = ("apples", "coins", "books", "stamps", "marbles", "cards", "shells", "eggs")
    names = ("Tom", "Anna", "Max", "Lena", "Paul")
    table: dict[str, tuple[str, ...]] = {}
    for at in range(44):
        name, thing, first, second = names[at % 5], things[at % 8], 12 + 5 * at % 37, 3 + at % 8
        if at % 2:
            table[f"{name} has {first} {thing} and gets {second} more"] = (str(first + second),)
        else:
            table[f"{name} has {first} {thing} and gives {second} away"] = (str(first - second),)
    return table_family("word_problem", "number",
                        ("{key}. How many are there now?", "{key}. How many does that leave in all?",
                         "Solve this: {key}. What is the new number?"),
                        "{key}, which makes {answer}.", table, numeric=True)


def _roman_numerals() -> Family:
    numbers = (4, 6, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 23, 24, 26, 29, 30, 33, 37, 38, 40, 42, 44, 46, 49, 50,
               55, 59, 60, 64, 68, 70, 77, 82, 90, 95, 99, 110, 150, 400)
    table = {roman_numeral(number): (str(number),) for number in numbers}
    return table_family("from_roman", "number",
                        ("Which number is the Roman numeral {key}?", "Write the Roman numeral {key} in digits.",
                         "What number does the Roman numeral {key} stand for?"),
                        "The Roman numeral {key} is {answer}.", table, numeric=True)


FAMILIES: tuple[Family, ...] = (
    _percentages(), _remainders(), _smallest(), _doubles(), _letter_counts(), _word_problems(), _roman_numerals(),
)
