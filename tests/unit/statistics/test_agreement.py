"""Cohen's kappa."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai import statistics

pytestmark = pytest.mark.unit


def test_kappa_by_hand() -> None:
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5, kappa 0.4."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    kappa = statistics.cohen_kappa(a, b)
    assert kappa.value == pytest.approx(0.4)
    assert kappa.interval.low < 0.4 < kappa.interval.high
    disagreement = statistics.wilson_interval(15, 50)
    assert (kappa.interval.low, kappa.interval.high) == pytest.approx(
        (1 - disagreement.high / 0.5, 1 - disagreement.low / 0.5)
    )
    perfect = statistics.cohen_kappa(a, a)
    assert perfect.value == perfect.interval.high == 1
    assert perfect.interval.low == pytest.approx(1 - statistics.wilson_interval(0, 50).high / 0.5)
    assert math.isnan(statistics.cohen_kappa(["yes"], ["yes"]).value)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=60))
def test_kappa_is_agreement_corrected_for_chance_and_is_held_by_its_interval(items: list[tuple[str, str]]) -> None:
    a, b = zip(*items, strict=True)
    kappa = statistics.cohen_kappa(a, b)
    if math.isnan(kappa.value):
        assert len({*a, *b}) == 1
        return
    table = [[sum(item == (x, y) for item in items) for y in "abc"] for x in "abc"]
    agreement = sum(table[i][i] for i in range(3)) / len(items)
    chance = sum(a.count(label) * b.count(label) for label in "abc") / len(items) ** 2
    assert kappa.value == pytest.approx((agreement - chance) / (1 - chance))
    assert kappa.interval.low <= kappa.value + 1e-12
    assert kappa.value <= kappa.interval.high + 1e-12
