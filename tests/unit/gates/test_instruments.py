"""Metrics of gate instruments: each passes on the shipped instruments and fails on a wrong one."""

import pytest

from ctai.config import RunConfig
from ctai.gates.instruments import critic_values, detector_values, scorer_values
from ctai.generate.critic import InstructionCritic
from ctai.generate.critic_calibration import calibrate, judge_probes
from ctai.qc.calibration import calibrate_detectors
from ctai.records import DetectorRates
from ctai.statistics import rate
from ctai.tasks import registry
from ctai.tasks.base import Score
from ctai.tasks.calibration import calibrate_scorers
from ctai.tasks.probes import pair_probes
from tests.support.scripted import ScriptedEngine
from tests.support.thresholds import metrics_of

pytestmark = pytest.mark.unit
CONFIG = RunConfig.load("embedded")


@pytest.mark.parametrize("embedded", [True, False])
def test_the_shipped_checkers_agree_with_labelled_answers(embedded):
    for metric in metrics_of(scorer_values(calibrate_scorers(embedded), "a.json"), CONFIG):
        assert metric.passed, metric.sentence()


def test_a_checker_that_measures_length_is_stopped():
    def by_length(instruction: str, response: str, finish_reason: str) -> Score:
        right = 5 <= len(response) <= 500
        return Score(right, right, "")

    metrics = metrics_of(scorer_values(calibrate_scorers(True, by_length), "a.json"), CONFIG)
    assert not any(metric.passed for metric in metrics)


def test_a_checker_that_is_wrong_in_one_family_is_stopped():
    def ignores_units(instruction: str, response: str, finish_reason: str) -> Score:
        if instruction.startswith(("Convert", "Change", "Please convert")):
            right = any(character.isdigit() for character in response)
            return Score(right, right, "")
        return registry.score(instruction, response, finish_reason)

    overall, worst = metrics_of(scorer_values(calibrate_scorers(False, ignores_units), "a.json"), CONFIG)
    assert overall.passed
    assert not worst.passed


def test_the_shipped_detectors_agree_with_labelled_responses():
    for metric in metrics_of(detector_values(calibrate_detectors(), "a.json"), CONFIG):
        assert metric.passed, metric.sentence()


@pytest.mark.parametrize(("precision", "recall"), [((94, 100), (100, 100)), ((100, 100), (94, 100)), ((0, 0), (0, 0))])
def test_one_bad_detector_is_enough(precision, recall):
    found = calibrate_detectors()
    bad = DetectorRates(precision=rate(*precision), recall=rate(*recall))
    overall = found.overall.model_copy(update={"detectors": {**found.overall.detectors, "runaway": bad}})
    metrics = metrics_of(detector_values(found.model_copy(update={"overall": overall}), "a.json"), CONFIG)
    assert not all(metric.passed for metric in metrics)


def test_a_critic_that_guesses_is_stopped_by_its_lower_bound():
    probes = pair_probes(300, 0, heldout=True)
    critic = InstructionCritic(ScriptedEngine(probabilities=lambda prompt: {" A": 0.6, " B": 0.3}))
    (metric,) = metrics_of(critic_values(calibrate(judge_probes(critic, probes)), "a.json"), CONFIG)
    assert not metric.passed
    assert metric.value < 0.5
