"""Labelled probes: items whose right judgement is known, for calibrating instruments on any model.

Owns the drawing of balanced, labelled sets from a seed. How the bad ones are made is in ``junk``. Nothing here trains
a model, and the texts with a fault are never used by the corpus of the embedded model.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ctai.prompts import LABEL_BAD, LABEL_GOOD
from ctai.tasks import negatives
from ctai.tasks.base import Family
from ctai.tasks.heldout import corpus_phrasings, is_heldout
from ctai.tasks.negatives import bad_instruction, bad_response
from ctai.tasks.registry import EMBEDDED_FAMILIES, select_families

__all__ = [
    "FactProbe",
    "InstructionProbe",
    "PairProbe",
    "bad_instruction",
    "bad_response",
    "fact_probes",
    "instruction_probes",
    "pair_probes",
]


@dataclass(frozen=True)
class PairProbe:
    """An instruction and a response, and what the pair critic should say: ``A`` or ``B``; ``kind`` names the fault."""

    instruction: str
    response: str
    label: str
    kind: str
    family: str
    key: str


@dataclass(frozen=True)
class InstructionProbe:
    """An instruction and what the instruction critic should say: ``A`` or ``B``; ``kind`` names the fault."""

    instruction: str
    label: str
    kind: str


@dataclass(frozen=True)
class FactProbe:
    """A statement cut before its answer, and the answers that complete it."""

    prompt: str
    answers: tuple[str, ...]
    family: str
    key: str


def pair_probes(n: int, seed: int, heldout: bool, embedded: bool = True) -> list[PairProbe]:
    """Draw ``n`` different probes, half of them good.

    Args:
        n: How many.
        seed: The same seed gives the same probes.
        heldout: Only held-out combinations of family and key, or only the others.
        embedded: Only the families that the embedded model was told about; else all.
    """
    families = select_families(embedded)
    rng = random.Random(f"pair probes/{seed}/{heldout}/{embedded}")
    combinations = _combinations(families, heldout, rng)
    probes: dict[tuple[str, str], PairProbe] = {}
    while len(probes) < n:
        family, key = next(combinations)
        instruction = family.render(key, rng.randrange(len(family.phrasings)))
        if len(probes) % 2 == 0:
            kind, label, response = "good", LABEL_GOOD, family.sample(key, rng)
        else:
            kind = rng.choices(negatives.RESPONSE_FAULTS, negatives.RESPONSE_FAULT_WEIGHTS)[0]
            label, bad = LABEL_BAD, bad_response(kind, family, key, instruction, families, rng, "probe")
            if bad is None:
                continue
            response = bad
        probe = PairProbe(instruction, response, label, kind, family.name, key)
        probes.setdefault((instruction, response), probe)
    return list(probes.values())


def instruction_probes(n: int, seed: int, embedded: bool = True) -> list[InstructionProbe]:
    """Draw ``n`` different instructions, half of them good, the others with the faults in turn.

    The corpus of the embedded model asks none of the good ones: they are of held-out keys, or in wordings left out, so
    that judging them is no recall.
    """
    families = select_families(embedded)
    rng = random.Random(f"instruction probes/{seed}/{embedded}")
    probes: dict[str, InstructionProbe] = {}
    while len(probes) < n:
        if len(probes) % 2 == 0:
            probe = InstructionProbe(_unasked_instruction(families, rng), LABEL_GOOD, "good")
        else:
            kind = negatives.INSTRUCTION_FAULTS[len(probes) // 2 % len(negatives.INSTRUCTION_FAULTS)]
            probe = InstructionProbe(bad_instruction(kind, families, rng, "probe"), LABEL_BAD, kind)
        probes.setdefault(probe.instruction, probe)
    return list(probes.values())


def _unasked_instruction(families: tuple[Family, ...], rng: random.Random) -> str:
    while True:
        family = rng.choice(families)
        key, phrasing = rng.choice(family.keys), rng.randrange(len(family.phrasings))
        if not family.embedded or phrasing not in corpus_phrasings(family.name, key):
            return family.render(key, phrasing)


def fact_probes(n: int, seed: int) -> list[FactProbe]:
    """Draw ``n`` different statements of the embedded world, cut before the answer; held-out facts are stated too."""
    rng = random.Random(f"fact probes/{seed}")
    choices = [
        (family, key, statement)
        for family in EMBEDDED_FAMILIES
        for statement in family.statements
        if "{key}" in statement.split("{answer}")[0]
        for key in family.keys
    ]
    return [
        FactProbe(
            statement.split("{answer}")[0].replace("{key}", key).rstrip(),
            family.accepted(key),
            family.name,
            key,
        )
        for family, key, statement in rng.sample(choices, min(n, len(choices)))
    ]


def _combinations(families: tuple[Family, ...], heldout: bool, rng: random.Random) -> Iterator[tuple[Family, str]]:
    """Go through all combinations in random order, again and again."""
    every = [(family, key) for family in families for key in family.keys if is_heldout(family.name, key) == heldout]
    while True:
        yield from rng.sample(every, len(every))
