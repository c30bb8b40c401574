"""Overlap with the held-out set, counted without the filter."""

import pytest

from ctai.generate.dedup.decontamination import overlapping
from ctai.tasks.registry import by_name
from tests.support.generated import HELDOUT
from tests.support.generated import example as any_example

pytestmark = pytest.mark.unit

CAPITAL = by_name("capital")

HELD = next(item for item in HELDOUT if item.family == "capital")

OTHER_WORDS = next(text for n in (0, 1) if (text := CAPITAL.render(HELD.key, n)) != HELD.instruction)

POEM = "Write a very short poem about the first snow of the winter."


@pytest.mark.parametrize(
    ("instruction", "count"),
    [
        (HELD.instruction, 1),
        (OTHER_WORDS, 1),  # the same key
        (f"  {POEM.upper()} ", 1),  # of no family, the same text
        (POEM.replace("winter", "winters"), 1),  # nearly the same text
        (POEM.replace("winter", "3 winter"), 0),  # another number
        ("Write a very short poem about the spring.", 0),
        (CAPITAL.render(next(key for key in CAPITAL.keys if key != HELD.key), 0), 0),
    ],
)
def test_overlap_is_counted_without_the_filter(instruction, count):
    poem = HELD.model_copy(update={"instruction": POEM})
    dataset = [any_example(0), any_example(1, instruction=instruction), any_example(2)]
    assert overlapping(dataset, [HELD, poem], 0.8) == count
