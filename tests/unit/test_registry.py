"""The registry: every metric says what it shows, and what to try when it does not."""

import pytest

from ctai.registry import METRICS

pytestmark = pytest.mark.unit


def test_every_metric_has_its_meaning_and_its_remedy():
    assert [name for name, metric in METRICS.items() if not (metric.meaning and metric.remedy)] == []


def test_every_metric_says_what_it_shows_and_what_it_does_not() -> None:
    assert [
        metric.name for metric in METRICS.values() if not (metric.meaning and metric.limits and metric.remedy)
    ] == []
