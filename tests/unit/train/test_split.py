"""Development split: by instruction, of a bounded size, the same for the same seed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.config import TrainingSettings
from ctai.prompts import Pair
from ctai.tasks.registry import by_name
from ctai.train.split import MIN_DEV_PAIRS, split_pairs

pytestmark = pytest.mark.unit


def texts(count: int) -> list[Pair]:
    """Pairs of no family, each with another instruction."""
    return [Pair(f"Say something about matter {number}.", str(number)) for number in range(count)]


def settings(fraction: float = 0.1) -> TrainingSettings:
    return TrainingSettings(dev_fraction=fraction)


def test_a_split_takes_the_fraction_and_keeps_the_order():
    pairs = texts(200)
    split = split_pairs(pairs, settings(), seed=0)
    assert (len(split.training), len(split.dev), split.note) == (180, 20, "")
    assert sorted([*split.training, *split.dev]) == sorted(pairs)
    for part in (split.training, split.dev):
        assert list(part) == [pair for pair in pairs if pair in set(part)]


def test_the_split_follows_from_the_seed_and_not_from_the_order():
    pairs = texts(200)
    mixed = random.Random(0).sample(pairs, len(pairs))
    dev = set(split_pairs(pairs, settings(), seed=0).dev)
    assert set(split_pairs(mixed, settings(), seed=0).dev) == dev
    assert set(split_pairs(pairs, settings(), seed=1).dev) != dev


@given(st.lists(st.integers(1, 12), min_size=1, max_size=80), st.floats(0.0, 0.49), st.integers(0, 5))
def test_wordings_of_one_instruction_stay_together(sizes, fraction, seed):
    pairs = [
        Pair(f"  Say what {'MATTER' if copy % 2 else 'matter'} {group} is" + "?" * (copy % 3), str(copy))
        for group, size in enumerate(sizes)
        for copy in range(size)
    ]
    training, dev, note = split_pairs(pairs, settings(fraction), seed)
    matters = [{pair.instruction.split()[3] for pair in part} for part in (training, dev)]
    assert not matters[0] & matters[1]
    assert len(training) + len(dev) == len(pairs)
    assert len(dev) <= round(fraction * len(pairs))
    assert bool(dev) == (not note)
    assert not dev or len(dev) >= MIN_DEV_PAIRS


def test_phrasings_of_one_key_stay_together():
    family = by_name("capital")
    pairs = [
        Pair(family.render(key, phrasing), family.accepted(key)[0])
        for key in family.keys
        for phrasing in range(len(family.phrasings))
    ]
    training, dev, _ = split_pairs(pairs, settings(0.3), seed=0)
    keys = [{family.parse(pair.instruction) for pair in part} for part in (training, dev)]
    assert len(dev) >= MIN_DEV_PAIRS
    assert not keys[0] & keys[1]


@pytest.mark.parametrize(
    ("count", "fraction", "note"),
    [
        (100, 0.0, "disabled by training.dev_fraction"),
        (100, 0.15, "15 pairs, fewer than 16"),
        (3, 0.05, "0 pairs, fewer than 16"),
        (0, 0.05, "0 pairs, fewer than 16"),
    ],
)
def test_there_is_no_split_without_enough_pairs_and_the_note_says_so(count, fraction, note):
    pairs = texts(count)
    assert split_pairs(pairs, settings(fraction), seed=0) == (tuple(pairs), (), note)


def test_a_group_that_exceeds_the_fraction_is_trained_on():
    """Where one instruction is most of the dataset, the split is made of the others."""
    pairs = [*[Pair("Say yes.", str(number)) for number in range(400)], *texts(100)]
    split = split_pairs(pairs, settings(0.1), seed=0)
    assert len(split.dev) == 50
    assert all(pair.instruction != "Say yes." for pair in split.dev)
