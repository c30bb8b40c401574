"""Verification of a damaged run: what cannot be recomputed is a difference, and never a traceback."""

import pytest

from ctai.evaluate.arms import BASE_REPARTITIONED
from ctai.records import EvaluationItem
from ctai.rundir import RunDir, read_jsonl, write_jsonl
from ctai.verification.verify import verify

pytestmark = pytest.mark.unit


def test_a_base_arm_that_answers_fewer_items(rundir: RunDir) -> None:
    path = rundir.base_answers(BASE_REPARTITIONED)
    items = read_jsonl(path, EvaluationItem)
    write_jsonl(path, items[1:])
    assert any(
        text.startswith("headroom: the noise floor needs two answers to each item") for text in verify(rundir.root)
    )
