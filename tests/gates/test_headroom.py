"""Gate headroom: the base model leaves room to improve, measured before any data is generated."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("headroom")


@thresholds_of("headroom")
def test_threshold(headroom: GateResult, judge: Judge, name: str) -> None:
    """The metric meets its threshold."""
    metric = judge(headroom, name)
    assert metric.passed, metric.sentence()
