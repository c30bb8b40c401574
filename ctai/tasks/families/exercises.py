"""Exercises over words and facts of the embedded world: formats, lists in an order, and two constraints at once.

Owns wordings and keys; `families.forms` and `families.rules` score them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

from ctai.tasks.base import Family
from ctai.tasks.data import lexicon, world
from ctai.tasks.families.builders import rule_family, split_values
from ctai.tasks.families.forms import (
    BRACKETED,
    CAPITALS,
    QUOTED,
    STARRED,
    Form,
    FormFamily,
    as_word,
    as_words,
    judge_exact,
    judge_pair,
)
from ctai.tasks.families.rules import Judge, OrderFamily
from ctai.tasks.families.series import SeriesFamily

_COUNTS = {"twice": 2, "three times": 3, "four times": 4}


def _form(
    name: str, kind: str, phrasings: tuple[str, ...], statement: str, table: Mapping[str, str], form: Form
) -> Family:
    return FormFamily(name, kind, False, phrasings, (statement,), tuple(table), split_values(table), form=form)


def _exercise(
    name: str, kind: str, phrasings: tuple[str, ...], statement: str, table: Mapping[str, str], rule: Judge
) -> Family:
    first = {key: values[0] for key, values in split_values(table).items()}
    return rule_family(name, kind, phrasings, statement, first, rule)


def _exact(table: Mapping[str, str], normalize: Callable[[str], object]) -> Judge:
    return judge_exact(split_values(table), normalize)


def _ordered(
    name: str, kind: str, phrasings: tuple[str, ...], statement: str, table: Mapping[str, str], numeric: bool
) -> Family:
    return OrderFamily(name, kind, False, phrasings, (statement,), tuple(table), table, numeric=numeric)


def _series(
    name: str, kind: str, phrasings: tuple[str, ...], statement: str, table: Mapping[str, str]
) -> Family:
    return SeriesFamily(name, kind, False, phrasings, (statement,), tuple(table), table, numeric=True)


def _groups(things: tuple[str, ...], size: int, count: int, seed: str) -> list[tuple[str, ...]]:
    rng = random.Random(seed)
    groups: dict[tuple[str, ...], None] = {}
    while len(groups) < count:
        group = tuple(rng.sample(things, size))
        if group != tuple(sorted(group)) and group != group[::-1]:
            groups[group] = None
    return list(groups)


_WORDS = lexicon.SPELLED
_THEMSELVES = {word: word for word in _WORDS}
_MEMBERS = {member: category.split("|")[0] for member, category in world.CATEGORIES.items()}


def _repeated() -> dict[str, str]:
    rng = random.Random("repeated words")
    keys = [(word, count) for word in _WORDS for count in rng.sample(list(_COUNTS), 1)]
    return {f"{word} {count}": " ".join([word] * _COUNTS[count]) for word, count in keys}


_REPEATED = _repeated()


def _sorted_numbers() -> dict[str, str]:
    groups = _groups(tuple(map(str, range(1, 10))), 3, 64, "sorted numbers")
    return {", ".join(group): ", ".join(sorted(group)) for group in groups}


def _reversed_words() -> dict[str, str]:
    groups = _groups(_WORDS, 3, 64, "reversed words")
    return {", ".join(group): ", ".join(reversed(group)) for group in groups}


def _json() -> dict[str, str]:
    return {f"{kind} {member}": json.dumps({kind: member}) for member, kind in _MEMBERS.items()}


_FORMATS = (
    FormFamily(
        "capitals_only", "format", False,
        ("Write the word {key} in capital letters.", "Put the word {key} in capitals.", "Turn the word {key} into capitals."),
        ("In capital letters, {key} is {answer}.",), _WORDS, {word: (word,) for word in _WORDS},
        replies=("In capital letters, {key} is {answer}.",),
    ),
    _form("quoted", "format",
          ("Put the word {key} in quotation marks.", "Write the word {key} in quotation marks.",
           "Quote the word {key}."),
          "With quotation marks: {key} becomes {answer}", _THEMSELVES, QUOTED),
    _exercise("repeated", "format",
              ("Write the word {key}.", "Repeat the word {key}.", "Say the word {key}."),
              "The word {key}: {answer}", _REPEATED, _exact(_REPEATED, as_words)),
    _exercise("json_pair", "format",
              ("Write {key} as JSON.", "Give {key} as a JSON object.", "Turn {key} into JSON."),
              "As JSON, {key} becomes {answer}", _json(), judge_pair),
    _ordered("reversed", "format",
             ("Write these words in reverse order: {key}.", "Reverse the order of {key}.", "List {key} backwards."),
             "In reverse order, {key} become {answer}.", _reversed_words(), numeric=False),
    _ordered("sorted", "format",
             ("Sort these numbers from small to large: {key}.", "Put {key} in order, the smallest first.",
              "Order the numbers {key} by size."),
             "From small to large, {key} become {answer}.", _sorted_numbers(), numeric=True),
    _form("bracketed", "format",
          ("Put the word {key} in brackets.", "Write the word {key} in brackets.", "Set brackets around the word {key}."),
          "With brackets: {key} becomes {answer}", _THEMSELVES, BRACKETED),
    _form("starred", "format",
          ("Put stars around the word {key}.", "Write the word {key} between two stars.", "Set the word {key} in stars."),
          "With stars: {key} becomes {answer}", _THEMSELVES, STARRED),
)

_TWICE = {word: "|".join(f"{form} {form}" for form in forms.split("|")) for word, forms in lexicon.PLURALS.items()}

_CONSTRAINTS = (
    _form("capital_in_capitals", "constraints",
          ("Name the capital of {key} in capital letters only.", "Write the capital of {key} in capital letters.",
           "In capital letters, what is the capital of {key}?"),
          "In capital letters, the capital of {key}: {answer}",
          world.CAPITALS, CAPITALS),
    _form("quoted_opposite", "constraints",
          ("Give the opposite of {key} in quotation marks.", "Write the opposite of {key} in quotation marks.",
           "In quotation marks, what is the opposite of {key}?"),
          "In quotation marks, the opposite of {key}: {answer}", lexicon.OPPOSITES, QUOTED),
    _exercise("color_in_a_word", "constraints",
              ("In one word, what is the color of {key}?", "Name the color of {key} in one word.",
               "Give the color of {key} in a single word."),
              "In one word, the color of {key}: {answer}", world.COLORS,
              _exact(world.COLORS, as_word)),
    _exercise("plural_twice", "constraints",
              ("Write the plural of {key} twice.", "Give the plural of {key} two times.",
               "Say the plural of {key} twice."),
              "Twice the plural of {key}: {answer}",
              _TWICE, _exact(_TWICE, as_words)),
)


def _after(cycle: tuple[str, ...], count: int) -> dict[str, str]:
    size = {2: "two", 3: "three"}[count]
    noun = "days" if cycle is lexicon.DAYS else "months"
    items = {item: [cycle[(at + step) % len(cycle)] for step in range(1, count + 1)] for at, item in enumerate(cycle)}
    return {f"{size} {noun} after {item}": ", ".join(found) for item, found in items.items()}


def _numbers_after() -> dict[str, str]:
    return {
        f"{size} numbers after {first}": ", ".join(str(first + step) for step in range(1, count + 1))
        for size, count in (("two", 2), ("three", 3)) for first in range(1, 60, 2 if count == 2 else 3)
    }


def _ranges() -> dict[str, str]:
    return {f"{first} to {last}": ", ".join(map(str, range(first, last + 1)))
            for first in range(1, 40) for last in (first + 2 + first % 3, first + 4 - first % 2) }


_LISTS = (
    _series("following", "list",
            ("List the {key}.", "Name the {key} in order.", "Which are the {key}?"),
            "The {key} are: {answer}",
            _after(lexicon.DAYS, 2) | _after(lexicon.DAYS, 3) | _after(lexicon.MONTHS, 2) | _after(lexicon.MONTHS, 3)
            | _numbers_after()),
    _series("range", "list",
            ("Count from {key}.", "List the numbers from {key}.", "Write all numbers from {key}."),
            "The numbers from {key} are: {answer}", _ranges()),
)

FAMILIES: tuple[Family, ...] = (*_FORMATS, *_CONSTRAINTS, *_LISTS)
