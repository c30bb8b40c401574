"""Gate scale: the merged dataset is large, unique, clean and free of test items."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("scale")


@thresholds_of("scale")
def test_threshold(scale_dataset: GateResult, judge: Judge, name: str) -> None:
    """The metric meets its threshold."""
    metric = judge(scale_dataset, name)
    assert metric.passed, metric.sentence()
