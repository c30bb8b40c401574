"""Hold-out rule of the instruction families, and the test set drawn by it.

Owns one decision: may this (family, key, wording) appear as an instruction before evaluation? Held-out combinations
of family and key are stated as facts in the corpus of the embedded model, but neither the corpus nor the seeds nor the
generated data may ask for them. The rule ranks by SHA-256, so it needs no stored list and cannot depend on a seed. The
combinations and wordings of a test set are drawn from a seed.

Some general families are held out whole (`UNSEEN_FAMILIES`): no key of theirs is asked in any wording before evaluation,
so that success on them shows transfer to new tasks, where success on other families shows transfer to new keys only.
"""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import zip_longest
from typing import Literal, TypeVar

from ctai.records import HeldoutItem
from ctai.tasks.base import Family, normalize_case_and_spacing
from ctai.tasks.registry import FAMILIES, find, select_families

HELDOUT_FRACTION = 0.28
# The embedded model must be trained on most of its families. The general families serve evaluation only.
GENERAL_HELDOUT_FRACTION = 0.8
# Families of plugins serve training and evaluation.
PLUGIN_HELDOUT_FRACTION = 0.5
EXCLUDED_PHRASING_FRACTION = 1 / 3
# Items of one family resemble each other, so more of them add little to the effective number of items. Families of the
# embedded model have at most 28 held-out keys.
MAX_ITEMS_PER_FAMILY = 20
# Families held out whole: one or two of each type that has enough others. No other family has their wordings, so that a
# generated instruction is recognized by its wording even where its key is none of the family's.
UNSEEN_FAMILIES: frozenset[str] = frozenset({
    "reverse", "compound", "from_roman", "sort_numbers", "hyphenate", "csv_row", "country_of_capital", "dutch", "intrusion",
    "first_aid", "bracketed", "starred",
})


def unseen_families(embedded: bool) -> tuple[Family, ...]:
    """Return the families held out whole; none with the embedded model, whose corpus asks for all of its families."""
    return tuple(family for family in select_families(embedded) if family.name in UNSEEN_FAMILIES)


def asked_families(embedded: bool) -> tuple[Family, ...]:
    """Return the families of a run that data and probes may ask about: all but those held out whole."""
    return tuple(family for family in select_families(embedded) if family.name not in UNSEEN_FAMILIES)


def _rank(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()


def heldout_keys(family: str) -> frozenset[str]:
    """Return the held-out keys of a family; none if there is no such family."""
    registered = find(family)
    return _heldout_keys(registered) if registered is not None else frozenset()


@cache
def _heldout_keys(family: Family) -> frozenset[str]:
    if family.name in UNSEEN_FAMILIES:
        return frozenset(family.keys)
    ranked = sorted(family.keys, key=lambda key: _rank("heldout", family.name, key))
    other_fraction = GENERAL_HELDOUT_FRACTION if family in FAMILIES else PLUGIN_HELDOUT_FRACTION
    fraction = HELDOUT_FRACTION if family.embedded else other_fraction
    return frozenset(ranked[: round(fraction * len(family.keys))])


def is_heldout(family: str, key: str) -> bool:
    """Return whether this combination is reserved for the test set and never asked before evaluation."""
    return key in heldout_keys(family)


def corpus_phrasings(family: str, key: str) -> tuple[int, ...]:
    """Return the wordings in which the corpus may ask for this combination; none if it is held out.

    A third of the wordings of every other key is excluded as well, so that the model meets known keys in unseen
    wordings. Without that, "never asked" would be a property of keys alone, and the model would learn to avoid them.
    """
    if is_heldout(family, key):
        return ()
    count = next(len(f.phrasings) for f in select_families(embedded=True) if f.name == family)
    return _corpus_phrasings(count, family, key)


@cache
def _corpus_phrasings(count: int, family: str, key: str) -> tuple[int, ...]:
    ranked = sorted(range(count), key=lambda phrasing: _rank("wording", family, key, str(phrasing)))
    return tuple(sorted(ranked[round(EXCLUDED_PHRASING_FRACTION * count) :]))


def build_heldout(count: int, seed: int, embedded: bool, unseen: int = 0) -> list[HeldoutItem]:
    """Draw the test set: one item per held-out (family, key), stratified round-robin by type, then by family.

    Args:
        count: number of items of asked families; fewer if fewer combinations are held out, since two items with one key
            would not be independent.
        seed: seed of the draw.
        embedded: only the families of the embedded model, and those of plugins; else all.
        unseen: number of items of families held out whole, which follow the others.
    """
    asked = _draw(asked_families(embedded), count, random.Random(f"held-out set/{seed}/{embedded}"), "asked")
    transfer = _draw(unseen_families(embedded), unseen, random.Random(f"unseen families/{seed}/{embedded}"), "unseen")
    return [item.model_copy(update={"item": number}) for number, item in enumerate((*asked, *transfer))]


def _draw(
    families: Sequence[Family], count: int, rng: random.Random, split: Literal["asked", "unseen"]
) -> list[HeldoutItem]:
    """Draw up to ``count`` items of these families, with different instructions."""
    types = sorted({family.type for family in families})
    combinations = _round_robin(
        [list(_round_robin([_shuffled(f, rng) for f in families if f.type == kind])) for kind in types]
    )
    items: dict[str, HeldoutItem] = {}
    for family, key in combinations:
        if len(items) == count:
            break
        instruction = family.render(key, rng.randrange(len(family.phrasings)))
        item = HeldoutItem(
            item=len(items), family=family.name, type=family.type, key=key, instruction=instruction, split=split
        )
        items.setdefault(normalize_case_and_spacing(instruction), item)
    return list(items.values())


T = TypeVar("T")


def _shuffled(family: Family, rng: random.Random) -> list[tuple[Family, str]]:
    keys = sorted(heldout_keys(family.name))
    count = len(keys) if family.embedded else min(len(keys), MAX_ITEMS_PER_FAMILY)
    return [(family, key) for key in rng.sample(keys, count)]


def _round_robin(groups: Sequence[Sequence[T]]) -> Iterator[T]:
    """Yield one item of each group in turn until all groups are exhausted."""
    for turn in zip_longest(*([(item,) for item in group] for group in groups), fillvalue=None):
        yield from (cell[0] for cell in turn if cell is not None)
