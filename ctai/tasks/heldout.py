"""Which part of the world is never asked before evaluation: the hold-out rule, and the test set made by it.

Owns one question: may this (family, key, wording) be shown as an instruction? Held-out combinations of family and key
are stated as facts in the corpus of the embedded model, but neither the corpus nor the seeds nor the generated data
may ask for them. The rule is a ranking by SHA-256, so it needs no stored list and cannot depend on a seed. Which of
the held-out combinations are asked, and in which words, is drawn from a seed.
"""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import zip_longest
from typing import TypeVar

from ctai.records import HeldoutItem
from ctai.tasks.base import Family, normalize_case_and_spacing
from ctai.tasks.registry import FAMILIES, find, select_families

HELDOUT_FRACTION = 0.28
# The closed world has to be asked about, to be learned. The large families are there to be evaluated on.
LARGE_HELDOUT_FRACTION = 0.8
# A run's own families are there for both.
OWN_HELDOUT_FRACTION = 0.5
UNASKED_FRACTION = 1 / 3


def _rank(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()


def heldout_keys(family: str) -> frozenset[str]:
    """Return the held-out keys of a family; none if there is no such family."""
    found = find(family)
    return _heldout_of(found) if found is not None else frozenset()


@cache
def _heldout_of(family: Family) -> frozenset[str]:
    ranked = sorted(family.keys, key=lambda key: _rank("heldout", family.name, key))
    large = LARGE_HELDOUT_FRACTION if family in FAMILIES else OWN_HELDOUT_FRACTION
    fraction = HELDOUT_FRACTION if family.embedded else large
    return frozenset(ranked[: round(fraction * len(family.keys))])


def is_heldout(family: str, key: str) -> bool:
    """Whether this combination is kept for the test set: it is never asked before evaluation."""
    return key in heldout_keys(family)


def corpus_phrasings(family: str, key: str) -> tuple[int, ...]:
    """Return the wordings in which the corpus may ask for this combination; none if it is held out.

    About a third of the wordings of every asked key are left out as well, so that the model meets keys in wordings it
    has not seen. Without that, "never asked" would be a property of keys alone, and the model would learn to avoid them.
    """
    if is_heldout(family, key):
        return ()
    return _asked_of(next(len(f.phrasings) for f in select_families(embedded=True) if f.name == family), family, key)


@cache
def _asked_of(count: int, family: str, key: str) -> tuple[int, ...]:
    ranked = sorted(range(count), key=lambda phrasing: _rank("wording", family, key, str(phrasing)))
    return tuple(sorted(ranked[round(UNASKED_FRACTION * count) :]))


def build_heldout(count: int, seed: int, embedded: bool) -> list[HeldoutItem]:
    """Draw the test set: one item a held-out (family, key), with types, and families within a type, taking turns.

    Args:
        count: How many items; where fewer combinations are held out there are fewer, since two items with one key
            would not be independent.
        seed: The same seed gives the same items.
        embedded: Only the families that the embedded model was told about, and the run's own; else all.
    """
    families = select_families(embedded)
    rng = random.Random(f"held-out set/{seed}/{embedded}")
    types = sorted({family.type for family in families})
    combinations = _in_turns(
        [list(_in_turns([_shuffled(f, rng) for f in families if f.type == kind])) for kind in types]
    )
    drawn: dict[str, HeldoutItem] = {}
    for family, key in combinations:
        if len(drawn) == count:
            break
        instruction = family.render(key, rng.randrange(len(family.phrasings)))
        item = HeldoutItem(item=len(drawn), family=family.name, type=family.type, key=key, instruction=instruction)
        drawn.setdefault(normalize_case_and_spacing(instruction), item)
    return list(drawn.values())


T = TypeVar("T")


def _shuffled(family: Family, rng: random.Random) -> list[tuple[Family, str]]:
    keys = sorted(heldout_keys(family.name))
    return [(family, key) for key in rng.sample(keys, len(keys))]


def _in_turns(groups: Sequence[Sequence[T]]) -> Iterator[T]:
    """Take one of each group in turn until all are empty."""
    for turn in zip_longest(*([(item,) for item in group] for group in groups), fillvalue=None):
        yield from (cell[0] for cell in turn if cell is not None)
