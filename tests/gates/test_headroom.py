"""Gate headroom: the base model leaves room to improve, measured before any data is generated."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("headroom")


@thresholds_of("headroom")
def test_threshold(headroom: GateResult, judge: Judge, metric: str) -> None:
    """The metric meets its threshold."""
    measured = judge(headroom, metric)
    assert measured.passed, measured.sentence()
