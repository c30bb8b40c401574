"""Overlap with the held-out set, counted without the filter."""

import pytest

from ctai.generate.dedup.decontamination import overlapping
from ctai.generate.dedup.deduplication import deduplicate
from ctai.records import HeldoutItem
from ctai.tasks.heldout import asked_families, build_heldout, unseen_families
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


UNSEEN = [item for item in build_heldout(10, 0, False, 300) if item.split == "unseen"]


@pytest.mark.parametrize("family", unseen_families(embedded=False), ids=lambda family: family.name)
def test_no_instruction_of_an_unseen_family_passes_the_filter_or_the_count(family):
    foreign = [family.render(key, n) for key in ("zebra", "17", "x y z") for n in range(len(family.phrasings))]
    texts = [family.render(key, n) for key in family.keys for n in range(len(family.phrasings))] + foreign
    texts += [f" {text.upper()} " for text in foreign]
    dropped = deduplicate(texts, UNSEEN).dropped
    assert [removed.reason for removed in dropped] == ["heldout family"] * len(texts)
    repeated = [item for removed in dropped if isinstance(item := removed.repeats, HeldoutItem)]
    assert [item.family for item in repeated] == [family.name] * len(texts)
    assert overlapping([any_example(0, instruction=text) for text in texts], UNSEEN, 0.8) == len(texts)


def test_no_instruction_of_an_asked_family_overlaps_unseen_ones():
    texts = [f.render(key, n) for f in asked_families(False) for key in f.keys for n in range(len(f.phrasings))]
    assert not any(removed.reason.startswith("heldout") for removed in deduplicate(texts, UNSEEN).dropped)
    assert overlapping([any_example(0, instruction=text) for text in texts], UNSEEN, 0.8) == 0
    other = ["Write a poem about reverse gears.", "How do I sort my books?", "Name a family that was never seen."]
    assert deduplicate(other, UNSEEN).kept == other
