"""Calibration of the critic against labelled probes, on the base model of the run.

Owns the judgements that are asked for and the accuracy, coverage and bias computed from them. Does not own the probes
(`ctai.tasks.probes`) or the thresholds (configuration).
"""

import math
from collections.abc import Sequence
from typing import Literal, cast

import numpy as np

from ctai.generate.critic import InstructionCritic
from ctai.prompts import LABEL_GOOD
from ctai.records import CriticCalibration, Critique, ProbeJudgement
from ctai.statistics import auroc, balanced_accuracy, rate
from ctai.tasks.negatives import GOOD_KINDS
from ctai.tasks.probes import InstructionProbe, PairProbe

# Inputs with nothing to judge (Zhao et al. 2021, "Calibrate before use"): the judgement of them is the bias.
CONTENT_FREE_INPUTS = ("N/A", "[MASK]", "...")
CONTENT_FREE_KIND = "content-free"

Kind = Literal["instructions", "pairs"]
Probes = Sequence[InstructionProbe] | Sequence[PairProbe]


def judge_probes(critic: InstructionCritic, probes: Probes) -> list[ProbeJudgement]:
    """Judge every probe and the content-free inputs: with the critic, its examples reversed, and its letters exchanged.

    Args:
        critic: of the base model.
        probes: all of one kind.

    Raises:
        ValueError: there are no probes.
    """
    if not probes:
        raise ValueError("no probes to calibrate the critic on")
    kind: Kind = "pairs" if isinstance(probes[0], PairProbe) else "instructions"
    inputs = [(p.instruction, p.response if isinstance(p, PairProbe) else "") for p in probes]
    inputs += [(text, text if kind == "pairs" else "") for text in CONTENT_FREE_INPUTS]
    labels = [probe.label for probe in probes] + [""] * len(CONTENT_FREE_INPUTS)
    faults = [probe.kind for probe in probes] + [CONTENT_FREE_KIND] * len(CONTENT_FREE_INPUTS)
    variants = (critic, critic.with_reversed_examples(), critic.with_swapped_meaning())
    critiques = [_judge(variant, kind, inputs) for variant in variants]
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
            faults, labels, inputs, *critiques, strict=True
        )
    ]


def calibrate(judgements: Sequence[ProbeJudgement]) -> CriticCalibration:
    """Compute balanced accuracy, AUROC, label coverage, label bias and order agreement of the critic.

    Args:
        judgements: of one kind; those of content-free inputs give the bias, all others the rest.
    """
    probes = [judgement for judgement in judgements if judgement.fault != CONTENT_FREE_KIND]
    content_free = [judgement for judgement in judgements if judgement.fault == CONTENT_FREE_KIND]
    truth = [probe.label == LABEL_GOOD for probe in probes]
    accuracy = balanced_accuracy(truth, [probe.critique.is_good for probe in probes])
    swapped = balanced_accuracy(truth, [probe.swapped.is_good for probe in probes])
    area = auroc(truth, [probe.critique.logp_a - probe.critique.logp_b for probe in probes])
    coverage = [math.exp(probe.critique.logp_a) + math.exp(probe.critique.logp_b) for probe in probes]
    agreements = sum(probe.critique.is_good == probe.reverse.is_good for probe in probes)
    return CriticCalibration(
        kind=judgements[0].kind,
        n=len(probes),
        balanced_accuracy=accuracy.value,
        balanced_accuracy_interval=accuracy.interval,
        auroc=area.value,
        auroc_interval=area.interval,
        coverage_mean=float(np.mean(coverage)),
        coverage_minimum=min(coverage),
        label_bias=_bias([judgement.critique for judgement in content_free]),
        order_agreement=rate(agreements, len(probes)),
        swapped_balanced_accuracy=swapped.value,
        swapped_balanced_accuracy_interval=swapped.interval,
        swapped_label_bias=_bias([judgement.swapped for judgement in content_free]),
        acceptance={
            fault: rate(sum(c.accepted for c in critiques), len(critiques))
            for fault, critiques in _by_fault(probes).items()
        },
    )


def _judge(critic: InstructionCritic, kind: Kind, inputs: Sequence[tuple[str, str]]) -> list[Critique]:
    if kind == "pairs":
        return critic.judge_pairs(inputs)
    return critic.judge_instructions([instruction for instruction, _ in inputs])


def _by_fault(probes: Sequence[ProbeJudgement]) -> dict[str, list[Critique]]:
    """Group the judgements by the kind of the probe, those that deserve acceptance first."""
    faults = sorted({probe.fault for probe in probes}, key=lambda fault: (fault not in GOOD_KINDS, fault))
    return {fault: [probe.critique for probe in probes if probe.fault == fault] for fault in faults}


def _bias(critiques: Sequence[Critique]) -> float:
    """Return the mean probability of A among A and B."""
    return float(np.mean([1 / (1 + math.exp(min(c.logp_b - c.logp_a, 700.0))) for c in critiques]))
