"""The base class of families: strict scores, drawing, and the public alias of `score`."""

from __future__ import annotations

import random

import pytest

from ctai.tasks.base import Family
from ctai.tasks.registry import by_name, parse, score

pytestmark = pytest.mark.unit

CAPITAL = "What is the capital of France?"


def test_strict_needs_the_model_to_stop_by_itself() -> None:
    assert score(CAPITAL, " Paris\n", None) == (True, True, "")
    assert score(CAPITAL, " Paris", "eos") == (True, True, "")
    assert score(CAPITAL, " Paris", "length") == (True, False, "")
    assert score(CAPITAL, " Paris\n\nInstruction: Name", "eos") == (True, False, "")
    assert score(CAPITAL, " Rome", "eos") == (False, False, "wrong answer")


def test_drawing_is_reproducible() -> None:
    family = by_name("capital")
    assert family.instruction(random.Random(3)) == family.instruction(random.Random(3))
    assert parse(family.instruction(random.Random(5))) is not None


def test_check_is_an_alias_of_score() -> None:
    assert Family.check is Family.score
    assert by_name("capital").check(CAPITAL, " Paris", "eos") == (True, True, "")
