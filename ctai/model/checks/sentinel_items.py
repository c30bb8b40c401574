"""Items of the sentinel suite: facts and instructions with checks of the content of answers, not length or layout.

Owns the choice of items and their checks. Does not classify the model (`ctai.model.checks.sentinels`).
"""

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ctai.prompts import CompletionStylePrompts
from ctai.tasks.base import Family
from ctai.tasks.registry import EMBEDDED_FAMILIES, by_name

_FACT_FAMILIES = (
    "capital", "continent", "language", "opposite", "plural", "past", "comparative", "category", "material", "symbol",
    "sum", "number_after", "calendar_after",
)  # fmt: skip
_FIRST_WORDS = 6
_LARGE_FAMILIES = ("json", "uppercase", "reverse", "sort_words", "sort_numbers", "sequence", "arithmetic", "translate")


class BareInstruction(NamedTuple):
    """An instruction without a prompt format, and a check of raw continuations up to the end of the answer."""

    name: str
    text: str
    is_fulfilled: Callable[[str], bool]


def facts(rng: random.Random, count: int) -> list[tuple[Family, str, str]]:
    """Draw `count` facts per family.

    Returns:
        Family, key and the simplest statement of each fact, with `{answer}` left open.
    """
    sample = []
    for family in map(by_name, _FACT_FAMILIES):
        for key in rng.sample(family.keys, count):
            sample.append((family, key, family.statements[0].replace("{key}", key)))
    return sample


def completes(family: Family, key: str, continuation: str) -> bool:
    """Return whether a continuation of a statement begins with its answer.

    Other words may precede the answer ("the city of Paris") within the first six words, but no other answer may.
    """
    words = re.findall(r"[^\W_]+", continuation.strip().split("\n")[0].casefold())[:_FIRST_WORDS]
    positions = [start for answer in family.accepted(key) if (start := _find_words(answer, words)) is not None]
    correct = set(map(str.casefold, family.accepted(key)))
    rivals = [_find_words(answer, words) for answer in family.candidates() if answer.casefold() not in correct]
    if family.type == "number" and words:  # "11" is not a candidate of every sum, but a wrong answer nevertheless
        rivals += [index for index, word in enumerate(words) if word.isdigit() and word not in correct]
    return bool(positions) and not any(rival is not None and rival < min(positions) for rival in rivals)


def bare_instructions(rng: random.Random) -> list[BareInstruction]:
    """Draw one instruction per family, of easy and harder families, and add three that belong to no family."""
    families = (*EMBEDDED_FAMILIES, *map(by_name, _LARGE_FAMILIES))
    from_families = [_of_family(family, family.instruction(rng)) for family in families]
    standalone = [
        BareInstruction("primes", "List the first five prime numbers.", _first_primes),
        BareInstruction("pig_latin", 'Translate the word "garden" into Pig Latin.', _pig_latin),
        BareInstruction("even_numbers", "Write three even numbers greater than 100.", _large_even_numbers),
    ]
    return from_families + standalone


def _of_family(family: Family, text: str) -> BareInstruction:
    return BareInstruction(family.name, text, lambda raw: family.score(text, raw).content)


def _first_primes(raw: str) -> bool:
    return _numbers(raw) == [2, 3, 5, 7, 11]


def _pig_latin(raw: str) -> bool:
    return re.search(r"\bardengay\b", CompletionStylePrompts.clean_response(raw).casefold()) is not None


def _large_even_numbers(raw: str) -> bool:
    numbers = _numbers(raw)
    return len(set(numbers)) == len(numbers) == 3 and all(n > 100 and n % 2 == 0 for n in numbers)


def _numbers(raw: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d{1,9}", CompletionStylePrompts.clean_response(raw))]


def _find_words(answer: str, words: Sequence[str]) -> int | None:
    """Return the index of the first occurrence of the words of an answer; None if there is none."""
    target = re.findall(r"[^\W_]+", answer.casefold())
    starts = range(len(words) - len(target) + 1)
    return next((start for start in starts if target and list(words[start : start + len(target)]) == target), None)
