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
from ctai.tasks.families import EMBEDDED_FAMILIES, FAMILIES, Family, normalize

HELDOUT_FRACTION = 0.28
# The closed world has to be asked about, to be learned. The large families are there to be evaluated on.
LARGE_HELDOUT_FRACTION = 0.8
UNASKED_FRACTION = 1 / 3


def _rank(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()


@cache
def heldout_keys(family: str) -> frozenset[str]:
    """Return the held-out keys of a family; none if there is no such family."""
    found = next((f for f in FAMILIES if f.name == family), None)
    if found is None:
        return frozenset()
    ranked = sorted(found.keys, key=lambda key: _rank("heldout", family, key))
    fraction = HELDOUT_FRACTION if found.embedded else LARGE_HELDOUT_FRACTION
    return frozenset(ranked[: round(fraction * len(found.keys))])


def is_heldout(family: str, key: str) -> bool:
    """Whether this combination is kept for the test set: it is never asked before evaluation."""
    return key in heldout_keys(family)


@cache
def asked_phrasings(family: str, key: str) -> tuple[int, ...]:
    """Return the wordings in which the corpus may ask for this combination; none if it is held out.

    About a third of the wordings of every asked key are left out as well, so that the model meets keys in wordings it
    has not seen. Without that, "never asked" would be a property of keys alone, and the model would learn to avoid them.
    """
    if is_heldout(family, key):
        return ()
    count = next(len(f.phrasings) for f in EMBEDDED_FAMILIES if f.name == family)
    ranked = sorted(range(count), key=lambda phrasing: _rank("wording", family, key, str(phrasing)))
    return tuple(sorted(ranked[round(UNASKED_FRACTION * count) :]))


def build_heldout(count: int, seed: int, embedded: bool) -> list[HeldoutItem]:
    """Draw the test set: one item a held-out (family, key), with types, and families within a type, taking turns.

    Args:
        count: How many items; where fewer combinations are held out there are fewer, since two items with one key
            would not be independent.
        seed: The same seed gives the same items.
        embedded: Only the families that the embedded model was told about; else all.
    """
    families = EMBEDDED_FAMILIES if embedded else FAMILIES
    rng = random.Random(f"held-out set/{seed}/{embedded}")
    types = sorted({family.type for family in families})
    combinations = _in_turns(
        [list(_in_turns([_shuffled(f, rng) for f in families if f.type == kind])) for kind in types]
    )
    chosen: dict[str, HeldoutItem] = {}
    for family, key in combinations:
        if len(chosen) == count:
            break
        instruction = family.render(key, rng.randrange(len(family.phrasings)))
        item = HeldoutItem(item=len(chosen), family=family.name, type=family.type, key=key, instruction=instruction)
        chosen.setdefault(normalize(instruction), item)
    return list(chosen.values())


T = TypeVar("T")


def _shuffled(family: Family, rng: random.Random) -> list[tuple[Family, str]]:
    keys = sorted(heldout_keys(family.name))
    return [(family, key) for key in rng.sample(keys, len(keys))]


def _in_turns(groups: Sequence[Sequence[T]]) -> Iterator[T]:
    """Take one of each group in turn until all are empty."""
    for turn in zip_longest(*([(item,) for item in group] for group in groups), fillvalue=None):
        yield from (cell[0] for cell in turn if cell is not None)
