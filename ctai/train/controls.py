"""What a control run trains on in place of its dataset: data that must not teach the task, or the cheapest that might.

Owns the making of control data. Which control a run is, is configuration; what became of it is judged by the gates, as
in any other run.
"""

import random
import string
from collections.abc import Sequence

from ctai.config import Control
from ctai.errors import CtaiError
from ctai.prompts import Pair
from ctai.provenance import derive_seed
from ctai.tasks.seeds import seed_pairs


def training_pairs(own: Sequence[Pair], control: Control, seed: int, foreign: Sequence[Pair] = ()) -> list[Pair]:
    """The pairs that a run trains on: the dataset's own, or what its control puts in their place.

    Args:
        own: the pairs of the run's dataset.
        control: `shuffled` gives every instruction the response of another example; `foreign` a response from the
            dataset of another run; `random-text` replaces all letters and digits, those of instructions too;
            `seeds-only` takes the few hand-written pairs that all generation starts from; every other value keeps the
            dataset as it is.
        seed: the run's seed.
        foreign: the pairs of another run's dataset, for `foreign`.

    Raises:
        CtaiError: there is nothing to take the control's data from.
    """
    source = derive_seed(seed, "training", control)
    if control == "seeds-only":
        return list(seed_pairs())
    if control == "shuffled":
        order = _derangement(len(own), source)
        return [Pair(pair.instruction, own[other].response) for pair, other in zip(own, order, strict=True)]
    if control == "foreign":
        if not foreign:
            raise CtaiError("control foreign needs the dataset of another run: --set control_data=FILE.jsonl")
        rng = random.Random(source)
        return [Pair(pair.instruction, rng.choice(foreign).response) for pair in own]
    if control == "random-text":
        rng = random.Random(source)
        return [Pair(_scrambled(pair.instruction, rng), _scrambled(pair.response, rng)) for pair in own]
    return list(own)


def _scrambled(text: str, rng: random.Random) -> str:
    """A text of the same shape that says nothing: every letter and digit is another one."""
    letters = {True: string.ascii_uppercase, False: string.ascii_lowercase}
    return "".join(
        rng.choice(letters[character.isupper()] if character.isalpha() else string.digits)
        if character.isalnum()
        else character
        for character in text
    )


def _derangement(count: int, seed: int) -> list[int]:
    """A seeded permutation without a fixed point: one cycle through all positions (Sattolo, IPL 22, 1986)."""
    if count < 2:
        raise CtaiError(f"responses cannot be shuffled among {count} examples; at least 2 are needed")
    generator = random.Random(seed)
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        j = generator.randrange(i)
        order[i], order[j] = order[j], order[i]
    return order
