"""The general families."""

from __future__ import annotations

import pytest

from ctai.tasks.registry import parse, score

pytestmark = pytest.mark.unit


def content(instruction: str, response: str) -> bool:
    return score(instruction, response).content


@pytest.mark.parametrize(
    ("instruction", "response", "right"),
    [
        ('Translate "dog" into Spanish.', "el perro", True),
        ('Translate "tree" into Spanish.', "arbol", True),
        ('Translate "dog" into Spanish.', "gato", False),
        ("Write the word garden backwards.", "nedrag", True),
        ("Write the word garden backwards.", 'The word "garden" backwards is "nedrag".', True),
        ("Write the word garden backwards.", "nedrga", False),
        ('Write "garden candle" in uppercase letters.', "GARDEN CANDLE", True),
        ('Write "garden candle" in uppercase letters.', "Garden Candle", False),
        ("What number comes next: 1, 3, 5, 7?", "9", True),
        ("What number comes next: 1, 3, 5, 7?", "1, 3, 5, 7, 9", True),
        ("What number comes next: 1, 3, 5, 7?", "9, 11", False),
        ("Convert 3 kilometers into meters.", "3,000 meters", True),
        ("Convert 3 kilometers into meters.", "3 km is 3000 m.", True),
        ("Convert 3 kilometers into meters.", "300", False),
    ],
)
def test_one_right_answer(instruction: str, response: str, right: bool) -> None:
    assert parse(instruction) is not None
    assert content(instruction, response) is right
