"""Labelled probes for calibrating the critic and other instruments on any model.

Owns the drawing of balanced, labelled sets from a seed, never from families held out whole. Does not make the bad items
(`ctai.tasks.negatives`). Probes never serve training, and the corpus of the embedded model uses none of the texts with a
fault.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ctai.prompts import LABEL_BAD, LABEL_GOOD
from ctai.tasks import negatives
from ctai.tasks.base import Family
from ctai.tasks.data.unsafe import COMPLIANCES, REFUSALS, REQUEST_FRAMES, TWINS, Twins
from ctai.tasks.heldout import asked_families, corpus_phrasings, is_heldout
from ctai.tasks.matching.answers import is_refusal
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


UNSAFE_FAMILY = "unsafe requests"
UNSAFE_SHARE = 5  # one probe in five, in either half


@dataclass(frozen=True)
class PairProbe:
    """Instruction and response with the label that the pair critic should give.

    Attributes:
        instruction: the instruction.
        response: the response.
        label: ``A`` (good) or ``B`` (bad).
        kind: one of ``negatives.GOOD_KINDS``, or the fault: one of ``negatives.RESPONSE_FAULTS``, or what is wrong with
            the response to an unsafe request or to its safe twin.
        family: name of the family; `UNSAFE_FAMILY` for an unsafe request or its safe twin.
        key: key of the instruction; the request in this case.
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
        kind: ``good``, ``safe twin``, or the fault: one of ``negatives.INSTRUCTION_FAULTS``.
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

    Without the embedded model, a fifth of either half answers unsafe requests and their safe twins, by turns: a refusal
    of the former is good and of the latter bad. The embedded model does not know their words.

    Args:
        n: number of probes.
        seed: seed of the draw.
        heldout: only held-out combinations of family and key; else only those that are not held out.
        embedded: only the families of the embedded model, and those of plugins; else all but those held out whole.
    """
    families = asked_families(embedded)
    rng = random.Random(f"pair probes/{seed}/{heldout}/{embedded}")
    combinations = _combinations(families, heldout, rng)
    twins = _twin_pairs(rng) if not embedded else iter(())
    probes: dict[tuple[str, str], PairProbe] = {}
    while len(probes) < n:
        if len(probes) // 2 % UNSAFE_SHARE == UNSAFE_SHARE - 1 and (twin := next(twins, None)):
            probes |= {(probe.instruction, probe.response): probe for probe in twin[: n - len(probes)]}
            continue
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

    Without the embedded model, the unsafe ones are requests that a person might make, and each has its safe twin among
    the good ones. The embedded model does not know their words: it gets templates over its own topics.

    The corpus of the embedded model has none of the good ones: they have held-out keys or excluded wordings, so that
    recall does not help to judge them.
    """
    families = asked_families(embedded)
    rng = random.Random(f"instruction probes/{seed}/{embedded}")
    twins = _framed_twins(rng) if not embedded else iter(())
    probes: dict[str, InstructionProbe] = {}
    while len(probes) < n:
        if _next_fault(len(probes)) == negatives.UNSAFE and (twin := next(twins, None)):
            good, bad = twin.frame.format(twin.twins.safe), twin.frame.format(twin.twins.unsafe)
            drawn = (
                InstructionProbe(good, LABEL_GOOD, negatives.SAFE_TWIN),
                InstructionProbe(bad, LABEL_BAD, negatives.UNSAFE),
            )
            probes |= {probe.instruction: probe for probe in drawn[: n - len(probes)]}
            continue
        if len(probes) % 2 == 0:
            probe = InstructionProbe(_unseen_instruction(families, rng), LABEL_GOOD, "good")
        else:
            kind = _next_fault(len(probes))
            probe = InstructionProbe(bad_instruction(kind, families, rng, "probe"), LABEL_BAD, kind)
        probes.setdefault(probe.instruction, probe)
    return list(probes.values())


def _next_fault(drawn: int) -> str:
    """Return the fault of the next bad instruction after this number of probes; the faults take turns."""
    return negatives.INSTRUCTION_FAULTS[drawn // 2 % len(negatives.INSTRUCTION_FAULTS)]


class _FramedTwins(NamedTuple):
    """Twins and the wording in which both are asked for."""

    frame: str
    twins: Twins


def _framed_twins(rng: random.Random) -> Iterator[_FramedTwins]:
    """Yield all twins in random order, then again in another wording, until all wordings are used."""
    frames = {twins: rng.sample(REQUEST_FRAMES, len(REQUEST_FRAMES)) for twins in TWINS}
    for turn in range(len(REQUEST_FRAMES)):
        for twins in rng.sample(TWINS, len(TWINS)):
            yield _FramedTwins(frames[twins][turn], twins)


def _twin_pairs(rng: random.Random) -> Iterator[tuple[PairProbe, PairProbe]]:
    """Yield a good and a bad response, by turns to an unsafe request and to its safe twin."""
    for frame, twins in _framed_twins(rng):
        unsafe, safe = frame.format(twins.unsafe), frame.format(twins.safe)
        refusal, compliance = rng.choice(REFUSALS), rng.choice(COMPLIANCES).format(twins.unsafe)
        yield (
            PairProbe(unsafe, refusal, LABEL_GOOD, negatives.REFUSED_UNSAFE, UNSAFE_FAMILY, twins.unsafe),
            PairProbe(unsafe, compliance, LABEL_BAD, negatives.COMPLIED_UNSAFE, UNSAFE_FAMILY, twins.unsafe),
        )
        yield (
            PairProbe(safe, twins.help, LABEL_GOOD, negatives.HELPED_SAFE_TWIN, UNSAFE_FAMILY, twins.safe),
            PairProbe(safe, refusal, LABEL_BAD, negatives.REFUSED_SAFE_TWIN, UNSAFE_FAMILY, twins.safe),
        )


def _unseen_instruction(families: tuple[Family, ...], rng: random.Random) -> str:
    while True:
        family = rng.choice(families)
        if is_refusal(family.accepted(family.keys[0])[0]):
            continue  # its instructions are unsafe, so none of them is good
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
