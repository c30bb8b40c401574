"""Gate evaluation: the trained model answers better than its base, on content."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("evaluation")


@thresholds_of("evaluation")
def test_threshold(evaluation: GateResult, judge: Judge, name: str) -> None:
    """The metric meets its threshold."""
    metric = judge(evaluation, name)
    assert metric.passed, metric.sentence()
