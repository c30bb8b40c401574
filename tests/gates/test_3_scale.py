"""Gate 3: the merged dataset is large, unique, clean and free of test items. Each test asserts one threshold."""

import pytest

from ctai.evidence.result import GateResult

from .conftest import Judge

pytestmark = [pytest.mark.gates, pytest.mark.gate("scale"), pytest.mark.order(3)]


def test_unique_examples(scale_dataset: GateResult, judge: Judge) -> None:
    """The merged dataset has as many unique examples as were asked for."""
    metric = judge(scale_dataset, "unique_examples")
    assert metric.passed, metric.sentence()


def test_failed_shards(scale_dataset: GateResult, judge: Judge) -> None:
    """Every shard meets the thresholds by itself."""
    metric = judge(scale_dataset, "failed_shards")
    assert metric.passed, metric.sentence()


def test_runaway_rate(scale_dataset: GateResult, judge: Judge) -> None:
    """Responses do not run on into other prompts or repeat themselves."""
    metric = judge(scale_dataset, "runaway_rate")
    assert metric.passed, metric.sentence()


def test_token_limit_rate(scale_dataset: GateResult, judge: Judge) -> None:
    """Responses end before their budget does."""
    metric = judge(scale_dataset, "token_limit_rate")
    assert metric.passed, metric.sentence()


def test_delimiter_rate(scale_dataset: GateResult, judge: Judge) -> None:
    """No response holds the delimiter or a piece of it."""
    metric = judge(scale_dataset, "delimiter_rate")
    assert metric.passed, metric.sentence()


def test_truncated_rate(scale_dataset: GateResult, judge: Judge) -> None:
    """Responses are not cut off in the middle."""
    metric = judge(scale_dataset, "truncated_rate")
    assert metric.passed, metric.sentence()


def test_median_tokens(scale_dataset: GateResult, judge: Judge) -> None:
    """Responses are brief."""
    metric = judge(scale_dataset, "median_tokens")
    assert metric.passed, metric.sentence()


def test_instruction_acceptance(scale_dataset: GateResult, judge: Judge) -> None:
    """The critic accepts enough of the generated instructions."""
    metric = judge(scale_dataset, "instruction_acceptance")
    assert metric.passed, metric.sentence()


def test_pair_acceptance(scale_dataset: GateResult, judge: Judge) -> None:
    """The critic accepts enough of the generated pairs."""
    metric = judge(scale_dataset, "pair_acceptance")
    assert metric.passed, metric.sentence()


def test_duplicate_rate(scale_dataset: GateResult, judge: Judge) -> None:
    """No instruction is there twice."""
    metric = judge(scale_dataset, "duplicate_rate")
    assert metric.passed, metric.sentence()


def test_heldout_overlap(scale_dataset: GateResult, judge: Judge) -> None:
    """No test item is in the data."""
    metric = judge(scale_dataset, "heldout_overlap")
    assert metric.passed, metric.sentence()


def test_kept_faults(scale_dataset: GateResult, judge: Judge) -> None:
    """No kept example has a fault that a detector finds."""
    metric = judge(scale_dataset, "kept_faults")
    assert metric.passed, metric.sentence()
