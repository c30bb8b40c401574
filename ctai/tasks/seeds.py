"""Seed examples: the few instruction-response pairs that a run starts from, and the critic's few-shot examples.

Owns their choice. All come from combinations that are not held out, and the scorers accept all good ones. The draws
have fixed seeds, so that every machine gets the same examples.
"""

import random
from functools import cache

from ctai.prompts import LABEL_BAD, LABEL_GOOD, LabelledInstruction, LabelledPair, Pair
from ctai.tasks import plugins
from ctai.tasks.base import TYPES, Family
from ctai.tasks.heldout import corpus_phrasings
from ctai.tasks.negatives import bad_instruction, bad_response
from ctai.tasks.registry import EMBEDDED_FAMILIES, by_name, parse, select_families

SEED_COUNT = 30
# (family, fault of the response or None); balanced, with no simple alternation.
_PAIR_EXAMPLES = (
    ("capital", None),
    ("opposite", "wrong fact"),
    ("number_after", "wrong fact"),
    ("past", None),
    ("category", "wrong form"),
    ("list", None),
)
_INSTRUCTION_EXAMPLES = (("color", None), ("young", "vague"), ("plural", "cut off"), ("sum", None))


def seed_pairs() -> tuple[Pair, ...]:
    """Return the seed pairs: every embedded family at least once, in shuffled order; then those of plugins."""
    return (*_built_in_seeds(), *(pair for family in plugins.active().families for pair in _plugin_seeds(family)))


@cache
def _plugin_seeds(family: Family) -> tuple[Pair, ...]:
    """Return two pairs of a plugin's family, with different keys."""
    rng = random.Random(f"seed pairs/{family.name}")
    keys = rng.sample([key for key in family.keys if corpus_phrasings(family.name, key)], 2)
    return tuple(
        Pair(family.render(key, rng.choice(corpus_phrasings(family.name, key))), family.sample(key, rng))
        for key in keys
    )


@cache
def _built_in_seeds() -> tuple[Pair, ...]:
    rng = random.Random("seed pairs")
    extra = rng.sample(EMBEDDED_FAMILIES, max(0, SEED_COUNT - len(EMBEDDED_FAMILIES)))
    pairs: dict[str, Pair] = {}
    for family in (*EMBEDDED_FAMILIES, *extra):
        pair = _corpus_pair(family, rng)
        while pair.instruction in pairs:
            pair = _corpus_pair(family, rng)
        pairs[pair.instruction] = pair
    return tuple(rng.sample(list(pairs.values()), len(pairs)))


def seed_instructions() -> tuple[str, ...]:
    """Return the instructions of the seed pairs."""
    return tuple(pair.instruction for pair in seed_pairs())


def few_shot_examples(n: int, rng: random.Random) -> tuple[Pair, ...]:
    """Draw ``n`` different seed pairs as few-shot examples."""
    return tuple(rng.sample(seed_pairs(), n))


@cache
def restyled_examples() -> tuple[Pair, ...]:
    """Return the examples of the restyled prompt: one built-in seed pair of each type that has one, the same in every run."""
    first: dict[str, Pair] = {}
    for pair in _built_in_seeds():
        first.setdefault(_type_of(pair), pair)
    return tuple(first[kind] for kind in TYPES if kind in first)


def _type_of(pair: Pair) -> str:
    parsed = parse(pair.instruction)
    assert parsed is not None, f"no family has the seed instruction {pair.instruction!r}"
    return by_name(parsed[0]).type


@cache
def instruction_critic_examples() -> tuple[LabelledInstruction, ...]:
    """Return the few-shot examples of the instruction critic, half of them good."""
    rng = random.Random("instruction critic examples")
    return tuple(
        LabelledInstruction(_corpus_pair(by_name(name), rng).instruction, LABEL_GOOD)
        if fault is None
        else LabelledInstruction(bad_instruction(fault, EMBEDDED_FAMILIES, rng, "corpus"), LABEL_BAD)
        for name, fault in _INSTRUCTION_EXAMPLES
    )


@cache
def pair_critic_examples() -> tuple[LabelledPair, ...]:
    """Return the few-shot examples of the pair critic, half of them good; most bad ones state a wrong fact."""
    rng = random.Random("pair critic examples")
    return tuple(_labelled_pair(by_name(name), fault, rng) for name, fault in _PAIR_EXAMPLES)


def topics() -> tuple[str, ...]:
    """Return the topics that may head a list of instructions, one per family."""
    return tuple(family.name.replace("_", " ") for family in select_families(embedded=True))


def _corpus_pair(family: Family, rng: random.Random) -> Pair:
    key = rng.choice([key for key in family.keys if corpus_phrasings(family.name, key)])
    return Pair(family.render(key, rng.choice(corpus_phrasings(family.name, key))), family.sample(key, rng))


def _labelled_pair(family: Family, fault: str | None, rng: random.Random) -> LabelledPair:
    while True:
        instruction, response = _corpus_pair(family, rng)
        if fault is None:
            return LabelledPair(instruction, response, LABEL_GOOD)
        key = family.parse(instruction)
        bad = bad_response(fault, family, str(key), instruction, EMBEDDED_FAMILIES, rng, "corpus")
        if bad is not None:
            return LabelledPair(instruction, bad, LABEL_BAD)
