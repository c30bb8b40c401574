"""The held-out set: balanced, one item per combination, held-out ones only, determined by its seed."""

from collections import Counter

import pytest

from ctai.tasks.base import normalize_case_and_spacing
from ctai.tasks.heldout import (
    MAX_ITEMS_PER_FAMILY,
    UNSEEN_FAMILIES,
    asked_families,
    build_heldout,
    heldout_keys,
    is_heldout,
    unseen_families,
)
from ctai.tasks.registry import FAMILIES, by_name, parse, select_families

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
    items = build_heldout(10_000, 0, False, 10_000)
    counts = Counter(item.family for item in items)
    for family in FAMILIES:
        available = len(heldout_keys(family.name))
        assert counts[family.name] == (available if family.embedded else min(available, MAX_ITEMS_PER_FAMILY))
    assert sum(item.split == "asked" for item in items) == sum(counts[f.name] for f in asked_families(False)) > 1200


@pytest.mark.parametrize("seed", range(3))
def test_unseen_families_are_held_out_whole(seed):
    items = build_heldout(300, seed, False, 50)
    asked, unseen = ([item for item in items if item.split == split] for split in ("asked", "unseen"))
    assert [item.item for item in items] == list(range(350))
    assert asked == build_heldout(300, seed, False)
    assert {item.family for item in unseen} == UNSEEN_FAMILIES
    assert not {item.family for item in asked} & UNSEEN_FAMILIES
    for family in unseen_families(False):
        assert heldout_keys(family.name) == frozenset(family.keys)
        assert not family.embedded


def test_the_embedded_model_has_no_unseen_families():
    assert unseen_families(embedded=True) == ()
    assert asked_families(embedded=True) == select_families(embedded=True)
    assert {item.split for item in build_heldout(100, 0, True, 100)} == {"asked"}
