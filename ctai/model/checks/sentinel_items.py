"""What the sentinels ask of a model, and whether what comes back is right: by content, never by length or shape.

Owns the choice of facts and instructions and their checks. What the answers say about a model is judged in `sentinels`.
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
    """An instruction without any framing, and whether a raw continuation fulfils it, up to where an answer ends."""

    name: str
    text: str
    fulfilled: Callable[[str], bool]


def facts(rng: random.Random, count: int) -> list[tuple[Family, str, str]]:
    """Family, key and the plainest statement of each fact, complete."""
    drawn = []
    for family in map(by_name, _FACT_FAMILIES):
        for key in rng.sample(family.keys, count):
            drawn.append((family, key, family.statements[0].replace("{key}", key)))
    return drawn


def completes(family: Family, key: str, continuation: str) -> bool:
    """Whether a continuation of a statement begins with its answer.

    It may lead up to it ("the city of Paris"), within its first six words, but not by way of another answer.
    """
    words = re.findall(r"[^\W_]+", continuation.strip().split("\n")[0].casefold())[:_FIRST_WORDS]
    places = [place for answer in family.accepted(key) if (place := _place(answer, words)) is not None]
    right = set(map(str.casefold, family.accepted(key)))
    rivals = [_place(other, words) for other in family.candidates() if other.casefold() not in right]
    if family.type == "number" and words:  # "11" is no candidate of every sum, but a wrong answer all the same
        rivals += [index for index, word in enumerate(words) if word.isdigit() and word not in right]
    return bool(places) and not any(rival is not None and rival < min(places) for rival in rivals)


def bare_instructions(rng: random.Random) -> list[BareInstruction]:
    """One instruction of every family that each English model knows, some of harder ones, and three of their own."""
    families = (*EMBEDDED_FAMILIES, *map(by_name, _LARGE_FAMILIES))
    drawn = [_of_family(family, family.instruction(rng)) for family in families]
    own = [
        BareInstruction("primes", "List the first five prime numbers.", _first_primes),
        BareInstruction("pig_latin", 'Translate the word "garden" into Pig Latin.', _pig_latin),
        BareInstruction("even_numbers", "Write three even numbers greater than 100.", _large_even_numbers),
    ]
    return drawn + own


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


def _place(answer: str, words: Sequence[str]) -> int | None:
    """Where the words of an answer begin, if they are all there."""
    wanted = re.findall(r"[^\W_]+", answer.casefold())
    starts = range(len(words) - len(wanted) + 1)
    return next((start for start in starts if wanted and list(words[start : start + len(wanted)]) == wanted), None)
