"""Gate instruments: the test set is large enough, and every instrument agrees with labels."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("instruments")


@thresholds_of("instruments")
def test_threshold(instruments: GateResult, judge: Judge, name: str) -> None:
    """The metric meets its threshold."""
    metric = judge(instruments, name)
    assert metric.passed, metric.sentence()
