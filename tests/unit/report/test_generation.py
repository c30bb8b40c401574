"""Generation data of the report: the funnel accounts for every rejection, and duplicates are counted by their original."""

from itertools import pairwise

import pytest

from ctai.report.generation import build_funnel, duplicate_clusters
from ctai.rundir import write_text
from ctai.rundir.reader import RunReader

pytestmark = pytest.mark.unit


def test_the_funnel_accounts_for_every_loss(finished):
    records = RunReader(finished).scale
    assert records is not None
    stages = build_funnel(records)
    assert [stage.n for stage in stages] == [60, 54, 48, 40, 40, 38, 34, 32, 29]
    for before, stage in pairwise(stages):
        assert before.n - stage.n == sum(rejection.n for rejection in stage.rejections)
    assert not [r for stage in stages for r in stage.rejections if "not explained" in r.reason]
    assert [rejection.reason for rejection in stages[2].rejections] == [
        "duplicate (exact)",
        "overlaps the test set (heldout key)",
    ]


def test_what_the_records_do_not_explain_is_said(copied):
    write_text(copied.shard_dir(0) / "rejections.jsonl", "")
    records = RunReader(copied).scale
    assert records is not None
    stages = build_funnel(records)
    assert ("not explained by the records", 3) in [tuple(rejection) for rejection in stages[2].rejections]


def test_repetitions_are_counted_by_what_they_repeat(finished):
    records = RunReader(finished).scale
    assert records is not None
    clusters = duplicate_clusters(records)
    assert clusters is not None
    assert (clusters.total, clusters.distinct) == (7, 1)
    assert [(cluster.instruction, cluster.duplicates) for cluster in clusters.largest] == [("Name thing 0.", 7)]
