"""Families with lists: count, membership and differences of the members."""

from __future__ import annotations

import random

import pytest

from ctai.tasks.families.lists import ListFamily
from ctai.tasks.registry import by_name, score

pytestmark = pytest.mark.unit

BIRDS = "Name two birds."


def content(instruction: str, response: str) -> bool:
    return score(instruction, response).content


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("apple and mango", ""),
        ("1. Apple\n2. Pear", ""),
        ("Apples, pears.", ""),
        ("an apple and a pear", ""),
        ("Here are two fruits: apple and pear.", ""),
        ("Two fruits are apple and pear.", ""),
        ("- apple\n- pear", ""),
        ("Apples and bananas are two fruits.", ""),
        ("1. apple 2. pear", ""),
        ("apple", "wrong count"),
        ("apple, pear and plum", "wrong count"),
        ("apple and apples", "repeated"),
        ("cherry and cherries", "repeated"),
        ("apple and dog", "wrong answer"),
        ("fruits", "wrong answer"),
        ("I can't help with that.", "refusal"),
        ("apple and", "wrong count"),
    ],
)
def test_lists_need_the_right_number_of_different_members(response: str, reason: str) -> None:
    assert score("Name two fruits.", response).reason == reason


def test_all_members_of_a_list_pass_together() -> None:
    family = by_name("list")
    assert isinstance(family, ListFamily)
    for key in family.keys:
        draws = {family.sample(key, random.Random(seed)) for seed in range(20)}
        assert len(draws) > 3
        assert all(content(family.render(key, 0), draw) for draw in draws)


@pytest.mark.parametrize(
    ("instruction", "response", "right"),
    [
        (BIRDS, "One is the owl, and another is the robin.", True),
        (BIRDS, "The robin is a bird, and so is the owl.", True),
        (BIRDS, "Eagle and owl. Both of them can see very well.", True),
        (BIRDS, "Eagle and owl. The robin is a bird as well.", False),
        (BIRDS, "One is the owl, and another is the bat.", False),
        (BIRDS, "The owl, or the robin and the eagle.", False),
        (BIRDS, "The owl is one.", False),
    ],
)
def test_enumerations_in_sentences_need_the_right_members(instruction: str, response: str, right: bool) -> None:
    assert score(instruction, f" {response}", "eos").content is right
