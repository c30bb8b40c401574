"""Training data of control runs: data that must not teach the task, or the cheapest data that might.

Owns the construction of control data. Does not own the choice of the control (configuration) or its outcome (the gates
of the run).
"""

import random
import string
from collections.abc import Sequence

from ctai.config import Control
from ctai.errors import CtaiError
from ctai.prompts import Pair
from ctai.provenance import derive_seed
from ctai.tasks.seeds import seed_pairs


def training_pairs(dataset: Sequence[Pair], control: Control, seed: int, foreign: Sequence[Pair] = ()) -> list[Pair]:
    """Return the pairs that a run trains on: those of its dataset, or those that its control puts in their place.

    Args:
        dataset: the pairs of the dataset of the run.
        control: `shuffled` gives every instruction the response of another example; `foreign` a response from the
            dataset of another run; `random-text` replaces all letters and digits, those of instructions too;
            `response-only` trains on the responses with an empty instruction (response tuning: Hewitt et al. 2024,
            arXiv 2409.14254); `seeds-only` takes the hand-written seed pairs; every other value keeps the dataset unchanged.
        seed: of the run.
        foreign: the pairs of the dataset of another run, for `foreign`.

    Raises:
        CtaiError: there are too few pairs to shuffle, or no foreign pairs.
    """
    source = derive_seed(seed, "training", control)
    if control == "seeds-only":
        return list(seed_pairs())
    if control == "response-only":
        return [Pair("", pair.response) for pair in dataset]
    if control == "shuffled":
        order = _derangement(len(dataset), source)
        return [Pair(pair.instruction, dataset[index].response) for pair, index in zip(dataset, order, strict=True)]
    if control == "foreign":
        if not foreign:
            raise CtaiError("control foreign needs the dataset of another run: --set control_data=FILE.jsonl")
        rng = random.Random(source)
        return [Pair(pair.instruction, rng.choice(foreign).response) for pair in dataset]
    if control == "random-text":
        rng = random.Random(source)
        return [Pair(_scramble(pair.instruction, rng), _scramble(pair.response, rng)) for pair in dataset]
    return list(dataset)


def _scramble(text: str, rng: random.Random) -> str:
    """Replace each letter and digit with a random one, which keeps the case, punctuation and length of the text."""
    letters = {True: string.ascii_uppercase, False: string.ascii_lowercase}
    return "".join(
        rng.choice(letters[character.isupper()] if character.isalpha() else string.digits)
        if character.isalnum()
        else character
        for character in text
    )


def _derangement(count: int, seed: int) -> list[int]:
    """Return a seeded permutation without fixed points: one cycle through all positions (Sattolo 1986, IPL 22)."""
    if count < 2:
        raise CtaiError(f"responses cannot be shuffled among {count} examples; at least 2 are needed")
    generator = random.Random(seed)
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        j = generator.randrange(i)
        order[i], order[j] = order[j], order[i]
    return order
