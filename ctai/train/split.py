"""Development split: pairs of the dataset that are held out of training to measure the loss on.

Owns the choice of the pairs, by instruction. It is no test set: early stopping looks at it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ctai.config import TrainingSettings
from ctai.prompts import Pair
from ctai.provenance import derive_seed
from ctai.tasks import registry
from ctai.tasks.base import normalize_case_and_spacing

MIN_DEV_PAIRS = 16


class DevelopmentSplit(NamedTuple):
    """A dataset in two parts, in the order of the dataset.

    Attributes:
        training: pairs to train on.
        dev: pairs of the development split; empty if there is none.
        note: reason why there is no split, or empty.
    """

    training: tuple[Pair, ...]
    dev: tuple[Pair, ...]
    note: str


def split_pairs(pairs: Sequence[Pair], settings: TrainingSettings, seed: int) -> DevelopmentSplit:
    """Hold out `training.dev_fraction` of the pairs, at most, by instruction.

    Pairs that ask for the same thing stay together: those with one family and key, however they are worded, or else
    those with one normalized instruction. A group that would exceed the fraction stays in the training part.

    Args:
        pairs: of the dataset.
        settings: hyperparameters.
        seed: of the run. The split depends on it and on the instructions, not on their order.
    """
    size = round(settings.dev_fraction * len(pairs))
    if not size:
        note = "disabled by training.dev_fraction" if not settings.dev_fraction else _too_small(size)
        return DevelopmentSplit(tuple(pairs), (), note)
    groups: dict[str, int] = {}
    keys = [_group(pair.instruction) for pair in pairs]
    for key in keys:
        groups[key] = groups.get(key, 0) + 1
    held_out: set[str] = set()
    count = 0
    for key in sorted(groups, key=lambda key: (derive_seed(seed, "training", "dev", key), key)):
        if count + groups[key] <= size:
            held_out.add(key)
            count += groups[key]
    if count < MIN_DEV_PAIRS:
        return DevelopmentSplit(tuple(pairs), (), _too_small(count))
    parts: dict[bool, list[Pair]] = {True: [], False: []}
    for key, pair in zip(keys, pairs, strict=True):
        parts[key in held_out].append(pair)
    return DevelopmentSplit(tuple(parts[False]), tuple(parts[True]), "")


def _too_small(count: int) -> str:
    return f"{count} pairs, fewer than {MIN_DEV_PAIRS}"


def _group(instruction: str) -> str:
    parsed = registry.parse(instruction)
    return "\0".join(parsed) if parsed else normalize_case_and_spacing(instruction)
