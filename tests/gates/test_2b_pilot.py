"""Gate 2b: a small batch of self-made data meets every quality threshold. Each test asserts one threshold."""

import pytest

from ctai.evidence.result import GateResult

from .conftest import Judge

pytestmark = [pytest.mark.gates, pytest.mark.gate("pilot"), pytest.mark.order(2)]


def test_kept_examples(pilot: GateResult, judge: Judge) -> None:
    """The pilot has as many examples as were asked for."""
    metric = judge(pilot, "kept_examples")
    assert metric.passed, metric.sentence()


def test_runaway_rate(pilot: GateResult, judge: Judge) -> None:
    """Responses do not run on into other prompts or repeat themselves."""
    metric = judge(pilot, "runaway_rate")
    assert metric.passed, metric.sentence()


def test_token_limit_rate(pilot: GateResult, judge: Judge) -> None:
    """Responses end before their budget does."""
    metric = judge(pilot, "token_limit_rate")
    assert metric.passed, metric.sentence()


def test_delimiter_rate(pilot: GateResult, judge: Judge) -> None:
    """No response holds the delimiter or a piece of it."""
    metric = judge(pilot, "delimiter_rate")
    assert metric.passed, metric.sentence()


def test_truncated_rate(pilot: GateResult, judge: Judge) -> None:
    """Responses are not cut off in the middle."""
    metric = judge(pilot, "truncated_rate")
    assert metric.passed, metric.sentence()


def test_median_tokens(pilot: GateResult, judge: Judge) -> None:
    """Responses are brief."""
    metric = judge(pilot, "median_tokens")
    assert metric.passed, metric.sentence()


def test_instruction_acceptance(pilot: GateResult, judge: Judge) -> None:
    """The critic accepts enough of the generated instructions."""
    metric = judge(pilot, "instruction_acceptance")
    assert metric.passed, metric.sentence()


def test_pair_acceptance(pilot: GateResult, judge: Judge) -> None:
    """The critic accepts enough of the generated pairs."""
    metric = judge(pilot, "pair_acceptance")
    assert metric.passed, metric.sentence()


def test_duplicate_rate(pilot: GateResult, judge: Judge) -> None:
    """No instruction is there twice."""
    metric = judge(pilot, "duplicate_rate")
    assert metric.passed, metric.sentence()


def test_heldout_overlap(pilot: GateResult, judge: Judge) -> None:
    """No test item is in the data."""
    metric = judge(pilot, "heldout_overlap")
    assert metric.passed, metric.sentence()


def test_kept_faults(pilot: GateResult, judge: Judge) -> None:
    """No kept example has a fault that a detector finds."""
    metric = judge(pilot, "kept_faults")
    assert metric.passed, metric.sentence()
