"""Benjamini-Hochberg against the published example and scipy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctai import statistics

pytestmark = pytest.mark.unit


BH_1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
           0.6528, 0.7590, 1.0000]  # fmt: skip


def test_benjamini_hochberg_published() -> None:
    """Benjamini and Hochberg (1995), section 4: four of fifteen at 0.05."""
    adjusted = statistics.benjamini_hochberg(BH_1995, 0.05)
    assert adjusted.significant == (True,) * 4 + (False,) * 11


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.01, 0.5), st.randoms())
def test_benjamini_hochberg_equals_scipy_and_keeps_the_order(p_values: list[float], fdr: float, rng) -> None:
    rng.shuffle(p_values)
    adjusted = statistics.benjamini_hochberg(p_values, fdr)
    expected: tuple[float, ...] = tuple(stats.false_discovery_control(p_values)) if p_values else ()
    assert adjusted.p_values == pytest.approx(expected)
    assert all(p <= fdr * (1 + 1e-9) for p, significant in zip(*adjusted, strict=True) if significant)


def test_benjamini_hochberg_refuses_nan() -> None:
    with pytest.raises(ValueError, match="not all are p-values"):
        statistics.benjamini_hochberg([0.1, math.nan], 0.1)
