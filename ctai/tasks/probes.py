"""Labelled probes for calibrating the critic and other instruments on any model.

Owns the drawing of balanced, labelled sets from a seed, never from families held out whole. Does not make the bad items
(`ctai.tasks.negatives`). Probes never serve training, and the corpus of the embedded model uses none of the texts with a
fault.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ctai.prompts import LABEL_BAD, LABEL_GOOD
from ctai.tasks import negatives
from ctai.tasks.base import Family
from ctai.tasks.heldout import asked_families, corpus_phrasings, is_heldout
from ctai.tasks.negatives import bad_instruction, bad_response
from ctai.tasks.registry import EMBEDDED_FAMILIES

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
    """Instruction and response with the label that the pair critic should give.

    Attributes:
        instruction: the instruction.
        response: the response.
        label: ``A`` (good) or ``B`` (bad).
        kind: ``good``, or the fault: one of ``negatives.RESPONSE_FAULTS``.
        family: name of the family.
        key: key of the instruction.
    """

    instruction: str
    response: str
    label: str
    kind: str
    family: str
    key: str


@dataclass(frozen=True)
class InstructionProbe:
    """Instruction with the label that the instruction critic should give.

    Attributes:
        instruction: the instruction.
        label: ``A`` (good) or ``B`` (bad).
        kind: ``good``, or the fault: one of ``negatives.INSTRUCTION_FAULTS``.
    """

    instruction: str
    label: str
    kind: str


@dataclass(frozen=True)
class FactProbe:
    """Statement cut before its answer, with the answers that complete it."""

    prompt: str
    answers: tuple[str, ...]
    family: str
    key: str


def pair_probes(n: int, seed: int, heldout: bool, embedded: bool = True) -> list[PairProbe]:
    """Draw ``n`` different pair probes, half of them good.

    Args:
        n: number of probes.
        seed: seed of the draw.
        heldout: only held-out combinations of family and key; else only those that are not held out.
        embedded: only the families of the embedded model, and those of plugins; else all but those held out whole.
    """
    families = asked_families(embedded)
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
    """Draw ``n`` different instruction probes, half of them good, the other half cycling through the faults.

    The corpus of the embedded model has none of the good ones: they have held-out keys or excluded wordings, so that
    recall does not help to judge them.
    """
    families = asked_families(embedded)
    rng = random.Random(f"instruction probes/{seed}/{embedded}")
    probes: dict[str, InstructionProbe] = {}
    while len(probes) < n:
        if len(probes) % 2 == 0:
            probe = InstructionProbe(_unseen_instruction(families, rng), LABEL_GOOD, "good")
        else:
            kind = negatives.INSTRUCTION_FAULTS[len(probes) // 2 % len(negatives.INSTRUCTION_FAULTS)]
            probe = InstructionProbe(bad_instruction(kind, families, rng, "probe"), LABEL_BAD, kind)
        probes.setdefault(probe.instruction, probe)
    return list(probes.values())


def _unseen_instruction(families: tuple[Family, ...], rng: random.Random) -> str:
    while True:
        family = rng.choice(families)
        key, phrasing = rng.choice(family.keys), rng.randrange(len(family.phrasings))
        if not family.embedded or phrasing not in corpus_phrasings(family.name, key):
            return family.render(key, phrasing)


def fact_probes(n: int, seed: int) -> list[FactProbe]:
    """Draw ``n`` different statements of the embedded families, held-out facts included, cut before the answer."""
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
    """Yield all combinations in random order, endlessly, with a new order each time."""
    pairs = [(family, key) for family in families for key in family.keys if is_heldout(family.name, key) == heldout]
    while True:
        yield from rng.sample(pairs, len(pairs))
