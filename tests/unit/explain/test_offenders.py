"""Rules for offending samples: one for each metric over single samples, and only samples that count against it."""

import pytest

from ctai.explain.offenders import RULES, find_offenders
from ctai.records import Rejection
from ctai.registry import METRICS
from ctai.rundir import RunDir, write_jsonl
from ctai.rundir.reader import RunReader

pytestmark = pytest.mark.unit


def test_every_rule_is_for_a_metric_of_the_registry():
    assert RULES.keys() <= METRICS.keys()


def rejection(reason: str, text: str) -> Rejection:
    return Rejection(
        phase="response", reason=reason, instruction="Name a color.", completion=text, finish_reason="stop", shard=0, item=0
    )  # fmt: skip


def test_only_what_counts_against_the_metric_is_shown(tmp_path):
    rundir = RunDir.open(tmp_path / "run")
    losses = [*(rejection("runaway", f"text {n}") for n in range(4)), rejection("truncated", "cut (")]
    write_jsonl(rundir.pilot_dir / "rejections.jsonl", losses)
    (offender,) = find_offenders(RunReader(rundir), "pilot", "truncated_rate")
    assert offender.text == "cut ("
