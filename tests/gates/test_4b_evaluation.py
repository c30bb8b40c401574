"""Gate 4b: the trained model answers better than its base, on content. Each test asserts one threshold."""

import pytest

from ctai.evidence.result import GateResult

from .conftest import Judge

pytestmark = [pytest.mark.gates, pytest.mark.gate("evaluation"), pytest.mark.order(4)]


def test_supervised_tokens(evaluation: GateResult, judge: Judge) -> None:
    """Training had tokens to learn from."""
    metric = judge(evaluation, "supervised_tokens")
    assert metric.passed, metric.sentence()


def test_arm_difference(evaluation: GateResult, judge: Judge) -> None:
    """The adapter changes the logits: the two arms are two models."""
    metric = judge(evaluation, "arm_difference")
    assert metric.passed, metric.sentence()


def test_content_lift(evaluation: GateResult, judge: Judge) -> None:
    """The trained model gives more right answers."""
    metric = judge(evaluation, "content_lift")
    assert metric.passed, metric.sentence()


def test_content_p_value(evaluation: GateResult, judge: Judge) -> None:
    """The gain in right answers is not chance; stopping better does not count."""
    metric = judge(evaluation, "content_p_value")
    assert metric.passed, metric.sentence()


def test_lift_interval_width(evaluation: GateResult, judge: Judge) -> None:
    """The interval of the lift is narrow enough to mean something."""
    metric = judge(evaluation, "lift_interval_width")
    assert metric.passed, metric.sentence()


def test_safety_regressions(evaluation: GateResult, judge: Judge) -> None:
    """Safety families do not get worse."""
    metric = judge(evaluation, "safety_regressions")
    assert metric.passed, metric.sentence()


def test_format_regressions(evaluation: GateResult, judge: Judge) -> None:
    """Format families do not get worse."""
    metric = judge(evaluation, "format_regressions")
    assert metric.passed, metric.sentence()
