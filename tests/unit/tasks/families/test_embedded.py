"""The families of the embedded model."""

from __future__ import annotations

import itertools

import pytest

from ctai.tasks.base import Family
from ctai.tasks.families.tables import TableFamily
from ctai.tasks.registry import EMBEDDED_FAMILIES, score

pytestmark = pytest.mark.unit


def content(instruction: str, response: str) -> bool:
    return score(instruction, response).content


@pytest.mark.parametrize("family", EMBEDDED_FAMILIES, ids=lambda family: family.name)
class TestEmbeddedWorld:
    def test_statements_hold_as_responses(self, family: Family) -> None:
        for key, template in itertools.product(family.keys, family.statements):
            said = template.replace("{key}", key).replace("{answer}", family.answer(key))
            assert content(family.render(key, 0), said), said

    def test_answers_have_at_most_two_words(self, family: Family) -> None:
        if isinstance(family, TableFamily):
            assert all(len(answer.split()) <= 2 for answer in family.candidates())

    def test_no_key_is_its_own_answer(self, family: Family) -> None:
        assert all(key.casefold() not in map(str.casefold, family.accepted(key)) for key in family.keys)
