"""The held-out set: balanced, one item per combination, held-out ones only, determined by its seed."""

from collections import Counter

import pytest

from ctai.tasks.base import normalize_case_and_spacing
from ctai.tasks.heldout import build_heldout, heldout_keys, is_heldout
from ctai.tasks.registry import FAMILIES, by_name, parse

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("embedded", [True, False])
def test_items_are_held_out_different_and_parse_as_what_they_say(embedded):
    items = build_heldout(320, 0, embedded)
    assert [item.item for item in items] == list(range(320))
    assert len({(item.family, item.key) for item in items}) == 320
    assert len({normalize_case_and_spacing(item.instruction) for item in items}) == 320
    assert all(is_heldout(item.family, item.key) for item in items)
    assert all(by_name(item.family).parse(item.instruction) == item.key for item in items)
    assert all(parse(item.instruction) is not None for item in items)
    assert all(by_name(item.family).type == item.type for item in items)


def test_only_the_full_set_has_general_families():
    embedded = {family.name for family in FAMILIES if family.embedded}
    assert {item.family for item in build_heldout(320, 0, embedded=True)} <= embedded
    assert {item.type for item in build_heldout(320, 0, embedded=False)} >= {"safety", "format", "translate"}


def test_types_take_turns_until_they_are_empty():
    counts = Counter(item.type for item in build_heldout(80, 0, embedded=False))
    assert max(counts.values()) - min(counts.values()) <= 1
    families = Counter(item.family for item in build_heldout(200, 0, embedded=True) if item.type == "word")
    assert max(families.values()) - min(families.values()) <= 1


def test_the_seed_decides():
    assert build_heldout(50, 1, embedded=True) == build_heldout(50, 1, embedded=True)
    assert build_heldout(50, 1, embedded=True) != build_heldout(50, 2, embedded=True)


def test_no_more_than_there_are():
    everything = sum(len(heldout_keys(family.name)) for family in FAMILIES)
    assert len(build_heldout(10_000, 0, embedded=False)) == everything >= 800
