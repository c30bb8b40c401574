"""Gate 4a: the base model leaves room to improve, measured before training. Each test asserts one threshold."""

import pytest

from ctai.evidence.result import GateResult

from .conftest import Judge

pytestmark = [pytest.mark.gates, pytest.mark.gate("headroom"), pytest.mark.order(4)]


def test_base_zero_shot_content(headroom: GateResult, judge: Judge) -> None:
    """The base does not already do the task in the format that training will teach."""
    metric = judge(headroom, "base_zero_shot_content")
    assert metric.passed, metric.sentence()
