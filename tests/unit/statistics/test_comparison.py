"""Comparison of two arms by items in families."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctai import statistics
from tests.support.paired import paired

pytestmark = pytest.mark.unit


CORRELATION = 0.05


def in_families(count: int, families: int) -> list[str]:
    """Names of the families of items, spread evenly."""
    return [f"family {item % families}" for item in range(count)]


def test_compare_paired_names_arms_and_adjusts_types_together() -> None:
    better, worse, same = paired(1, 30, both=5), paired(30, 0, both=5), paired(4, 4, both=20)
    base = better[0] + worse[0] + same[0]
    sft = better[1] + worse[1] + same[1]
    types = ["better"] * 36 + ["worse"] * 35 + ["same"] * 28
    clusters = [f"{kind} {family}" for kind, family in zip(types, in_families(99, 6), strict=True)]
    overall, by_type = statistics.compare_paired(base, sft, types, clusters, correlation=CORRELATION)
    assert (overall.n, overall.base.k, overall.sft.k) == (99, 1 + 5 + 35 + 24, 35 + 5 + 24)
    assert overall.lift == pytest.approx((64 - 65) / 99)
    assert (overall.clusters, by_type["same"].clusters) == (18, 6)
    assert overall.p_adjusted is None
    assert [by_type[kind].significant for kind in ("better", "worse", "same")] == [True, True, False]
    assert [by_type[kind].lift_interval.high < 0 for kind in ("better", "worse", "same")] == [False, True, False]
    assert by_type["better"].lift > 0
    assert by_type["better"].cohens_h > 0
    unadjusted = [by_type[kind].p_value for kind in sorted(by_type)]
    adjusted = [by_type[kind].p_adjusted for kind in sorted(by_type)]
    assert adjusted == pytest.approx(statistics.benjamini_hochberg(unadjusted, 0.10).p_values)
    assert statistics.surely_worse(by_type, 0.10) == ("worse",)


def test_types_of_few_families_take_the_design_effect_of_all_items() -> None:
    """Ten families whose items win or lose together, two of them of type x."""
    outcomes = [(family % 2 == 0, family % 2 == 1) for family in range(10) for _ in range(10)]
    clusters = [f"family {family}" for family in range(10) for _ in range(10)]
    types = ["x" if family < 2 else "y" for family in range(10) for _ in range(10)]
    base, sft = zip(*outcomes, strict=True)
    overall, by_type = statistics.compare_paired(base, sft, types, clusters, correlation=CORRELATION)
    assert overall.interval_method == by_type["y"].interval_method == "clustered"
    assert overall.design_effect == pytest.approx(10 * 10 / 9 * 99 / 100)
    x = by_type["x"]
    assert (x.interval_method, x.clusters, x.design_effect) == ("overall design effect", 2, overall.design_effect)
    effective = 10 / overall.design_effect
    assert x.lift_interval == statistics.paired_interval(effective, effective, 2 * effective)


def test_compare_counts_families_not_items() -> None:
    """All gain comes from one of ten families: significant for items, not for families."""
    base, sft = paired(0, 10, neither=90)
    families = [f"family {item // 10}" for item in range(100)]
    comparison = statistics.compare(base, sft, families, correlation=CORRELATION)
    assert comparison.mcnemar.p_value < 0.01
    assert comparison.p_value == comparison.clustered_p_value > 0.05
    assert comparison.lift_interval.low < 0


def test_p_gain_is_one_where_sft_is_worse() -> None:
    worse = statistics.compare(*paired(40, 2, both=58), in_families(100, 10), correlation=CORRELATION)
    assert worse.p_value < 0.001
    assert worse.p_gain == 1
    better = statistics.compare(*paired(2, 40, both=58), in_families(100, 10), correlation=CORRELATION)
    assert better.p_gain == better.p_value == worse.p_value


def test_equal_arms_have_p_one_and_an_interval_with_a_width() -> None:
    same = statistics.compare(*paired(0, 0, both=175, neither=175), in_families(350, 26), correlation=CORRELATION)
    assert same.p_value == 1
    assert same.design_effect == statistics.planned_design_effect([14] * 12 + [13] * 14, CORRELATION)
    assert same.lift_interval.low == -same.lift_interval.high < -0.01


def test_compare_refuses_no_items_and_unpaired_items() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        statistics.compare([], [], [], correlation=CORRELATION)
    with pytest.raises(ValueError, match="not paired"):
        statistics.compare([True], [True], [], correlation=CORRELATION)


outcomes = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 11)), min_size=1, max_size=120)


@settings(deadline=None)
@given(outcomes)
def test_a_p_value_below_five_percent_is_beside_an_interval_without_zero(items: list[tuple[bool, bool, int]]) -> None:
    base, sft, families = zip(*items, strict=True)
    comparison = statistics.compare(base, sft, [str(f) for f in families], correlation=CORRELATION)
    interval = comparison.lift_interval
    assert -1 <= interval.low <= comparison.lift <= interval.high <= 1
    without_zero = not interval.low <= 0 <= interval.high
    assert without_zero == (comparison.clustered_p_value < 0.05)
    if comparison.p_value < 0.05:
        assert without_zero


@settings(deadline=None)
@given(outcomes)
def test_swapped_arms_swap_the_comparison(items: list[tuple[bool, bool, int]]) -> None:
    base, sft, families = zip(*items, strict=True)
    names = [str(f) for f in families]
    forward = statistics.compare(base, sft, names, correlation=CORRELATION)
    backward = statistics.compare(sft, base, names, correlation=CORRELATION)
    assert backward.lift == -forward.lift
    assert (forward.p_value, forward.design_effect) == pytest.approx((backward.p_value, backward.design_effect))
    assert forward.lift_interval.low == pytest.approx(-backward.lift_interval.high, abs=1e-9)


def test_only_types_that_are_surely_worse_are_named() -> None:
    tables = {"gone": (30, 0), "worse": (20, 6), "unclear": (3, 1), "better": (0, 30), "same": (0, 0)}
    comparisons = {
        kind: statistics.compare(*paired(*table, both=70), in_families(sum(table) + 70, 10), correlation=CORRELATION)
        for kind, table in tables.items()
    }
    assert statistics.surely_worse(comparisons, 0.10) == ("gone", "worse")
    assert statistics.surely_worse({}, 0.10) == ()
