"""Gate evaluation: the trained model answers better than its base, on content."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("evaluation")


@thresholds_of("evaluation")
def test_threshold(evaluation: GateResult, judge: Judge, metric: str) -> None:
    """The metric meets its threshold."""
    measured = judge(evaluation, metric)
    assert measured.passed, measured.sentence()
