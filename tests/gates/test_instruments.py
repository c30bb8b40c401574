"""Gate instruments: the test set is large enough, and every instrument agrees with labels."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("instruments")


@thresholds_of("instruments")
def test_threshold(instruments: GateResult, judge: Judge, metric: str) -> None:
    """The metric meets its threshold."""
    measured = judge(instruments, metric)
    assert measured.passed, measured.sentence()
