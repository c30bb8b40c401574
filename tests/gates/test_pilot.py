"""Gate pilot: a small self-generated batch meets every quality threshold."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("pilot")


@thresholds_of("pilot")
def test_threshold(pilot: GateResult, judge: Judge, name: str) -> None:
    """The metric meets its threshold."""
    metric = judge(pilot, name)
    assert metric.passed, metric.sentence()
