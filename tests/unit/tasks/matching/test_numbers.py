"""Numbers in responses: results are told apart from working."""

import pytest

from ctai.tasks.registry import score

pytestmark = pytest.mark.unit

AFTER = "Name the number after 87."
SUM = "Calculate 40 + 33."
NEXT = "What number comes next: 5, 15, 25, 35?"
HOURS = "Convert 2 days into hours."


@pytest.mark.parametrize(
    ("instruction", "response", "right"),
    [
        (AFTER, "87 + 1 = 88, so it is 88", True),
        (AFTER, "87 + 1 = 88, so it is 89", False),
        (AFTER, "87 + 1 = 89", False),
        (AFTER, "88 + 1 = 89", False),
        (AFTER, "87 + 1 = 88, 88 + 1 = 89", False),
        (AFTER, "88, and after that comes 89", True),
        (AFTER, "88, and then 89", False),
        (SUM, "40 + 33: 40 + 30 = 70, 70 + 3 = 73.", True),
        (SUM, "40 + 33 is 73. You first add 40 and 30, which makes 70, and then 3.", True),
        (SUM, "40 + 33 is 73. Then you add 1 more, and the result is 74.", False),
        (SUM, "It is 70, so 73 is right.", False),
        (SUM, "seventy-three", True),
        (NEXT, "Each number is 10 more than the one before, so 45 comes next.", True),
        (NEXT, "Each number is 10 more than the one before, so 55 comes next.", False),
        (NEXT, "It goes up by 10, so 45 or 55.", False),
        (HOURS, "There are 24 hours in a day, so 2 days are 48 hours.", True),
        (HOURS, "24 hours, so 48", False),
        ("Name the number after 99.", "one hundred", True),
        ("How many legs does the mosquito have?", "three pairs, so 6", True),
        ("How many legs does the mosquito have?", "three pairs, so 8", False),
    ],
)
def test_results_are_told_apart_from_working(instruction: str, response: str, right: bool) -> None:
    assert score(instruction, f" {response}", "eos").content is right
