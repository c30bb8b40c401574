"""The registry: every metric says what it shows, and what to try when it does not."""

import pytest

from ctai.registry import METRICS

pytestmark = pytest.mark.unit


def test_every_metric_has_its_meaning_and_its_remedy():
    assert [name for name, metric in METRICS.items() if not (metric.meaning and metric.remedy)] == []
