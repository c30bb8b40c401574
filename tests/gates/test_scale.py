"""Gate scale: the merged dataset is large, unique, clean and free of test items."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("scale")


@thresholds_of("scale")
def test_threshold(scale_dataset: GateResult, judge: Judge, metric: str) -> None:
    """The metric meets its threshold."""
    measured = judge(scale_dataset, metric)
    assert measured.passed, measured.sentence()
