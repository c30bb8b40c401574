"""The gain by the pair critic as a threshold: a critic that keeps wrong pairs as gladly as right ones stops the run."""

import pytest

from ctai.config import QcThresholds
from ctai.qc.purity import MIN_PAIRS
from ctai.qc.summary import MinimumCount, QcCounter, SummaryHeader, summarize
from ctai.records import Metric, Rejection
from ctai.tasks.registry import EMBEDDED_FAMILIES
from tests.support.generated import critique, example

pytestmark = pytest.mark.unit

FAMILIES = EMBEDDED_FAMILIES[:8]


def pair(number: int, right: bool) -> tuple[str, str]:
    family = FAMILIES[number % len(FAMILIES)]
    key = family.keys[number // len(FAMILIES) % len(family.keys)]
    return family.render(key, 0), family.answer(key) if right else "nothing at all"


def metrics_of(
    kept: tuple[int, int], rejected: tuple[int, int], filters: bool | None, least: float = 0.0
) -> dict[str, Metric]:
    """Return the metrics for these numbers of right and wrong pairs, kept and rejected."""
    counter = QcCounter()
    for number in range(sum(kept)):
        instruction, response = pair(number, number < kept[0])
        counter.keep(example(number, instruction=instruction, response=response))
    for number in range(sum(rejected)):
        instruction, response = pair(number, number < rejected[0])
        counter.reject(
            Rejection(
                phase="pair", reason="judged bad", instruction=instruction, response=response, shard=0, item=0,
                finish_reason="stop", critique=critique(-2.0),
            )
        )  # fmt: skip
    header, minimum = SummaryHeader("merged", "run", {}), MinimumCount("unique_examples", 1)
    summary = summarize(header, counter, minimum, QcThresholds(critic_gain=least), filters=filters)
    assert summary.thresholds_passed == (not any(metric.missed for metric in summary.thresholds))
    return {metric.name: metric for metric in summary.thresholds}


def gain(kept: tuple[int, int], rejected: tuple[int, int], filters: bool = True, least: float = 0.0) -> Metric:
    return metrics_of(kept, rejected, filters, least)["critic_gain"]


def test_a_critic_that_rejects_wrong_pairs_passes() -> None:
    metric = gain(kept=(190, 10), rejected=(20, 80))
    assert metric.passed
    assert metric.interval is not None
    assert metric.value == metric.interval.low > 0
    assert metric.note == "210 of 300 judged pairs are right, 100 are rejected"


@pytest.mark.parametrize(
    ("kept", "rejected"),
    [((140, 60), (70, 30)), ((120, 80), (90, 10)), ((200, 100), (0, 0))],
    ids=["chance", "the wrong way round", "rejects nothing"],
)
def test_a_critic_that_gains_nothing_is_stopped(kept: tuple[int, int], rejected: tuple[int, int]) -> None:
    metric = gain(kept, rejected)
    assert metric.missed
    assert "critic_gain" in metric.failure()


def test_a_dataset_without_an_accepted_pair_is_stopped() -> None:
    metric = gain(kept=(0, 0), rejected=(20, 80))
    assert metric.value < 0
    assert metric.missed


@pytest.mark.parametrize("wrong", [0, MIN_PAIRS - 1])
def test_without_wrong_pairs_there_is_nothing_to_gain(wrong: int) -> None:
    assert not gain(kept=(200, wrong), rejected=(2, 0)).applicable
    assert gain(kept=(200, MIN_PAIRS), rejected=(2, 0)).applicable


def test_the_control_without_critic_is_not_held_to_it() -> None:
    metric = gain(kept=(140, 60), rejected=(0, 0), filters=False)
    assert not metric.applicable
    assert metric.note == "the critic filters nothing in this run"


def test_a_part_of_a_dataset_is_not_held_to_it() -> None:
    assert "critic_gain" not in metrics_of(kept=(140, 60), rejected=(0, 0), filters=None)


def test_the_threshold_is_a_setting() -> None:
    assert gain(kept=(190, 10), rejected=(20, 80), least=0.5).missed
