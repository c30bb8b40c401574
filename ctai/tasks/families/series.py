"""Families that ask for a series of items in one order: counting, even and odd numbers, lists without an item.

Owns wordings and keys; `families.rules` scores orders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ctai.tasks.base import Family
from ctai.tasks.data import general
from ctai.tasks.families.rules import OrderFamily


@dataclass(frozen=True, eq=False)
class SeriesFamily(OrderFamily):
    """Family that asks for a series; a response may repeat the key, or its end from "after" on, beside the series."""

    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""
        parts = (re.escape(part) for part in (key, key[max(0, key.find("after ")) :]))
        rest = re.sub("|".join(parts), "", text, count=1, flags=re.IGNORECASE)
        return super().judge(key, rest if re.search(r"\w", rest) else text)


def _joined(numbers: range) -> str:
    return ", ".join(map(str, numbers))


def _counting() -> Family:
    cases = [(2 + 3 * at % 41, 4 + at % 3) for at in range(42)]
    answers = {f"from {start} to {start + size - 1}": _joined(range(start, start + size)) for start, size in cases}
    return SeriesFamily("counting", "list", False,
                        ("List the numbers that go {key}.", "Count up {key}.", "Write down all whole numbers {key}."),
                        ("Counting {key} gives {answer}.",), tuple(answers), answers, numeric=True)


def _parity() -> Family:
    answers = {}
    for at in range(24):
        low, size = 5 + 4 * at, 8 + 2 * (at % 2)
        answers[f"even numbers between {low} and {low + size}"] = _joined(range(low + 1, low + size, 2))
        answers[f"odd numbers between {low + 1} and {low + 1 + size}"] = _joined(range(low + 2, low + 1 + size, 2))
    return SeriesFamily("parity", "list", False,
                        ("List the {key}.", "Write down the {key}.", "Give me all {key}."),
                        ("The {key} are {answer}.",), tuple(answers), answers, numeric=True)


def _removal() -> Family:
    words, answers = general.PLAIN_WORDS, {}
    for at in range(len(words)):
        group = [words[(at + step) % len(words)] for step in (0, 14, 6, 27)]
        removed = group[at % 4]
        answers[f'"{removed}" from this list: {", ".join(group)}'] = ", ".join(w for w in group if w != removed)
    return OrderFamily("removal", "list", False,
                       ("Remove {key}.", "Delete the word {key}.", "Take {key}, and write the rest."),
                       ("Without {key}, the list is {answer}.",), tuple(answers), answers)


FAMILIES: tuple[Family, ...] = (_counting(), _parity(), _removal())
