"""The critic held against labelled probes, on the model at hand, before its acceptance counts.

Owns what is asked of the critic and the numbers that follow from its answers. The probes are `ctai.tasks.probes`', the
floor that the numbers must reach is configuration.
"""

import math
from collections.abc import Sequence
from typing import Literal, cast

import numpy as np

from ctai.generate.critic import InstructionCritic
from ctai.prompts import LABEL_GOOD
from ctai.records import CriticCalibration, Critique, ProbeJudgement
from ctai.statistics import auroc, balanced_accuracy, rate
from ctai.tasks.probes import InstructionProbe, PairProbe

# Inputs with nothing to judge (Zhao et al. 2021, "Calibrate before use"): what the critic says then is its bias.
CONTENT_FREE = ("N/A", "[MASK]", "...")
NOTHING = "content-free"

Kind = Literal["instructions", "pairs"]
Probes = Sequence[InstructionProbe] | Sequence[PairProbe]


def judge_probes(critic: InstructionCritic, probes: Probes) -> list[ProbeJudgement]:
    """Ask the critic about every probe and about nothing: as it is, with its examples reversed, with letters exchanged.

    Args:
        critic: on the model at hand.
        probes: all of one kind.

    Raises:
        ValueError: there are no probes.
    """
    if not probes:
        raise ValueError("no probes to calibrate the critic on")
    kind: Kind = "pairs" if isinstance(probes[0], PairProbe) else "instructions"
    asked = [(p.instruction, p.response if isinstance(p, PairProbe) else "") for p in probes]
    asked += [(text, text if kind == "pairs" else "") for text in CONTENT_FREE]
    labels = [probe.label for probe in probes] + [""] * len(CONTENT_FREE)
    faults = [probe.kind for probe in probes] + [NOTHING] * len(CONTENT_FREE)
    ways = (critic, critic.with_reversed_examples(), critic.with_swapped_meaning())
    judged = [_judge(way, kind, asked) for way in ways]
    return [
        ProbeJudgement(
            kind=kind,
            fault=fault,
            label=cast(Literal["A", "B", ""], label),
            instruction=instruction,
            response=response,
            critique=critique,
            reverse=reverse,
            swapped=swapped,
        )
        for fault, label, (instruction, response), critique, reverse, swapped in zip(
            faults, labels, asked, *judged, strict=True
        )
    ]


def calibrate(judgements: Sequence[ProbeJudgement]) -> CriticCalibration:
    """The critic's accuracy, coverage and biases."""
    probes = [judgement for judgement in judgements if judgement.fault != NOTHING]
    nothing = [judgement for judgement in judgements if judgement.fault == NOTHING]
    truth = [probe.label == LABEL_GOOD for probe in probes]
    accuracy = balanced_accuracy(truth, [probe.critique.is_good for probe in probes])
    swapped = balanced_accuracy(truth, [probe.swapped.is_good for probe in probes])
    area = auroc(truth, [probe.critique.logp_a - probe.critique.logp_b for probe in probes])
    coverage = [math.exp(probe.critique.logp_a) + math.exp(probe.critique.logp_b) for probe in probes]
    agreed = sum(probe.critique.is_good == probe.reverse.is_good for probe in probes)
    return CriticCalibration(
        kind=judgements[0].kind,
        n=len(probes),
        balanced_accuracy=accuracy.value,
        balanced_accuracy_interval=accuracy.interval,
        auroc=area.value,
        auroc_interval=area.interval,
        coverage_mean=float(np.mean(coverage)),
        coverage_minimum=min(coverage),
        label_bias=_bias([judgement.critique for judgement in nothing]),
        order_agreement=rate(agreed, len(probes)),
        swapped_balanced_accuracy=swapped.value,
        swapped_balanced_accuracy_interval=swapped.interval,
        swapped_label_bias=_bias([judgement.swapped for judgement in nothing]),
        acceptance={
            fault: rate(sum(c.accepted for c in judged), len(judged)) for fault, judged in _by_fault(probes).items()
        },
    )


def _judge(critic: InstructionCritic, kind: Kind, asked: Sequence[tuple[str, str]]) -> list[Critique]:
    if kind == "pairs":
        return critic.judge_pairs(asked)
    return critic.judge_instructions([instruction for instruction, _ in asked])


def _by_fault(probes: Sequence[ProbeJudgement]) -> dict[str, list[Critique]]:
    """The judgements of good probes, and of each kind of bad ones."""
    faults = sorted({probe.fault for probe in probes}, key=lambda fault: (fault != "good", fault))
    return {fault: [probe.critique for probe in probes if probe.fault == fault] for fault in faults}


def _bias(critiques: Sequence[Critique]) -> float:
    """The mean share of A, of A and B together."""
    return float(np.mean([1 / (1 + math.exp(min(c.logp_b - c.logp_a, 700.0))) for c in critiques]))
