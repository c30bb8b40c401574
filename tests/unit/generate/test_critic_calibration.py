"""Calibration of the critic: accuracy, coverage and bias on labelled probes."""

import math

import pytest

from ctai.generate.critic import InstructionCritic
from ctai.generate.critic_calibration import calibrate, judge_probes
from ctai.records import ProbeJudgement
from ctai.tasks.probes import InstructionProbe, PairProbe, instruction_probes, pair_probes
from ctai.tasks.seeds import pair_critic_examples
from tests.support.scripted import ScriptedEngine

pytestmark = pytest.mark.unit


def calibrated(engine, probes):
    return calibrate(judge_probes(InstructionCritic(engine), probes))


def knowing_engine(probes, sure=0.9, reads_the_rubric=True):
    """A model that gives every probe its label, and half and half to what it does not know."""
    labels = {probe.instruction + getattr(probe, "response", ""): probe.label for probe in probes}

    def probabilities(prompt):
        block = prompt.rsplit("INSTRUCTION: ", 1)[1].removesuffix("\nLabel:")
        label = labels.get(block.replace("\nRESPONSE: ", ""), "")
        p = {"A": sure, "B": 1 - sure}.get(label, 0.5)
        if reads_the_rubric and prompt.split("\n")[1].startswith(("A: wrong", "A: vague")):
            p = 1 - p
        return {" A": 0.8 * p, " B": 0.8 * (1 - p)}

    return ScriptedEngine(probabilities=probabilities)


@pytest.mark.parametrize(
    ("kind", "probes"),
    [("instructions", instruction_probes(60, 0)), ("pairs", pair_probes(60, 0, heldout=True))],
)
def test_a_critic_that_knows_is_calibrated_as_such(kind, probes):
    calibration = calibrated(knowing_engine(probes), probes)
    assert (calibration.kind, calibration.n, calibration.balanced_accuracy, calibration.auroc) == (kind, 60, 1.0, 1.0)
    assert 0.8 < calibration.balanced_accuracy_interval.low < 1
    assert calibration.coverage_mean == pytest.approx(0.8, abs=1e-6)
    assert calibration.label_bias == pytest.approx(0.5, abs=1e-6)
    assert calibration.order_agreement.value == 1
    assert calibration.acceptance["good"].value == 1
    assert len(calibration.acceptance) > 2
    assert all(rate.k == 0 for name, rate in calibration.acceptance.items() if name != "good")


def test_a_critic_that_knows_only_the_letters_is_found_out():
    probes = pair_probes(60, 0, heldout=True)
    reads = calibrated(knowing_engine(probes), probes)
    recites = calibrated(knowing_engine(probes, reads_the_rubric=False), probes)
    assert (reads.swapped_balanced_accuracy, recites.swapped_balanced_accuracy) == (1.0, 0.0)
    assert recites.balanced_accuracy == reads.balanced_accuracy == 1.0


def test_every_judgement_is_kept_and_gives_the_calibration_again():
    probes = instruction_probes(60, 0)
    judgements = judge_probes(InstructionCritic(knowing_engine(probes)), probes)
    assert [j.fault for j in judgements[-3:]] == ["content-free"] * 3
    assert len(judgements) == 63
    restored = [ProbeJudgement.model_validate_json(j.model_dump_json()) for j in judgements]
    assert calibrate(restored) == calibrate(judgements)


@pytest.mark.fault(14, plant="a critic that says A to everything", check="calibration: balanced accuracy, label bias")
def test_a_critic_that_says_a_to_everything_is_found_out():
    probes = pair_probes(60, 0, heldout=False)
    engine = ScriptedEngine(probabilities=lambda prompt: {" A": 0.9, " B": 0.05})
    calibration = calibrated(engine, probes)
    assert calibration.balanced_accuracy == 0.5
    assert calibration.auroc == 0.5
    assert calibration.label_bias > 0.9


def test_a_critic_that_depends_on_the_order_of_its_examples_is_found_out():
    probes = [PairProbe(f"Say {i}.", str(i), "AB"[i % 2], ["good", "wrong"][i % 2], "f", str(i)) for i in range(20)]
    first = pair_critic_examples()[0].instruction

    def probabilities(prompt):
        in_front = prompt.split("INSTRUCTION: ")[1].startswith(first)
        return {" A": 0.8, " B": 0.1} if in_front else {" A": 0.1, " B": 0.8}

    assert calibrated(ScriptedEngine(probabilities=probabilities), probes).order_agreement.k == 0


def test_no_probes_is_a_bug():
    with pytest.raises(ValueError, match="no probes"):
        calibrated(ScriptedEngine(), [])


def test_probes_of_one_kind_give_no_accuracy():
    probes = [InstructionProbe("Name a color.", "A", "good")]
    assert math.isnan(calibrated(ScriptedEngine(), probes).balanced_accuracy)
