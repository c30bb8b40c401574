"""Gate 2a: the test set is large enough, and every instrument agrees with labels. Each test asserts one threshold."""

import pytest

from ctai.evidence.result import GateResult

from .conftest import Judge

pytestmark = [pytest.mark.gates, pytest.mark.gate("instruments"), pytest.mark.order(2)]


def test_heldout_items(instruments: GateResult, judge: Judge) -> None:
    """The frozen test set has the required number of items."""
    metric = judge(instruments, "heldout_items")
    assert metric.passed, metric.sentence()


def test_heldout_power(instruments: GateResult, judge: Judge) -> None:
    """The test set can show the lift that the run is after."""
    metric = judge(instruments, "heldout_power")
    assert metric.passed, metric.sentence()


def test_scorer_kappa(instruments: GateResult, judge: Judge) -> None:
    """The answer checkers agree with labelled answers: lower bound of Cohen's kappa."""
    metric = judge(instruments, "scorer_kappa")
    assert metric.passed, metric.sentence()


def test_scorer_family_kappa(instruments: GateResult, judge: Judge) -> None:
    """The checker of every family agrees with the labels, the weakest too."""
    metric = judge(instruments, "scorer_family_kappa")
    assert metric.passed, metric.sentence()


def test_detector_precision(instruments: GateResult, judge: Judge) -> None:
    """What a detector of faults finds in labelled responses is there, for the worst of them."""
    metric = judge(instruments, "detector_precision")
    assert metric.passed, metric.sentence()


def test_detector_recall(instruments: GateResult, judge: Judge) -> None:
    """What is wrong with labelled responses is found, by the worst detector too."""
    metric = judge(instruments, "detector_recall")
    assert metric.passed, metric.sentence()


def test_instruction_critic_balanced_accuracy(instruments: GateResult, judge: Judge) -> None:
    """The critic tells good instructions from bad ones: lower bound on labelled probes."""
    metric = judge(instruments, "instruction_critic_balanced_accuracy")
    assert metric.passed, metric.sentence()


def test_pair_critic_balanced_accuracy(instruments: GateResult, judge: Judge) -> None:
    """The critic tells good pairs from bad ones: lower bound on labelled probes."""
    metric = judge(instruments, "pair_critic_balanced_accuracy")
    assert metric.passed, metric.sentence()
