"""Aliases of answers: qualified answers, names of people, synonyms."""

import pytest

from ctai.tasks.matching.aliases import aliases
from ctai.tasks.registry import EMBEDDED_FAMILIES, score

pytestmark = pytest.mark.unit


def test_no_synonym_is_what_the_corpus_calls_bad() -> None:
    """The embedded model was taught that answers of other keys and truncated answers are bad."""
    added = 0
    for family in EMBEDDED_FAMILIES:
        for key in family.keys:
            accepted = {answer.casefold() for answer in family.accepted(key)}
            more = {word.casefold() for word in aliases(family.name, key, family.accepted(key))} - accepted
            added += len(more)
            assert not more & {answer.casefold() for answer in family.candidates()}, key
            assert not [word for word in more if any(answer.startswith(word) for answer in accepted)], key
    assert added > 100


@pytest.mark.parametrize(
    ("instruction", "response", "right"),
    [
        ("On which continent is Jordan?", "Western Asia", True),
        ("On which continent is Jordan?", "Cold Asia", False),
        ("On which continent is Canada?", "South America", False),
        ("What are people from Iceland called?", "Icelanders", True),
        ("What are people from Chile called?", "Chileans", True),
        ("What are people from Poland called?", "Polishs", False),
        ("Name the usual material of doors.", "timber", True),
        ("Name the usual material of doors.", "timber or stone", False),
        ("What is the opposite of poor?", "affluent", True),
        ("What is the opposite of poor?", "affluent or cheap", False),
    ],
)
def test_aliases_are_accepted_and_their_alternatives_are_not(instruction: str, response: str, right: bool) -> None:
    assert score(instruction, f" {response}", "eos").content is right
