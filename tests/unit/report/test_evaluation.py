"""Evaluation data of the report: the paired table, and every failed answer beside the answer of the other arm."""

import re

import pytest

from ctai.records import TrainingStep
from ctai.report.evaluation import loss_curve, paired_table
from ctai.rundir.reader import RunReader
from tests.support.html_report import parsed, text_of, written_report
from tests.support.reported import DEV_LOSSES

pytestmark = pytest.mark.unit


def test_the_paired_table_adds_up(finished):
    attempt = RunReader(finished).attempts[-1]
    assert attempt.summary is not None
    table = paired_table(attempt.summary.overall)
    assert (table.both, table.only_base, table.only_sft, table.neither, table.n) == (7, 1, 10, 2, 20)


def test_every_failed_answer_is_on_the_report_beside_the_other(finished):
    html = parsed(written_report(finished))
    items = [
        text_of(element)
        for element in html.iter("li")
        if element.find("div[@class='instruction untrusted']") is not None
    ]
    numbers = [int(re.findall(r"item (\d+),", element)[0]) for element in items]
    assert numbers == [0, 18, 19, *range(8, 18)]  # where SFT failed, then where only the base did
    assert all(
        f"base says {n}" in element and f"sft says {n}" in element for n, element in zip(numbers, items, strict=True)
    )


def test_the_loss_on_the_development_split_is_drawn_beside_that_of_training(finished):
    steps = [TrainingStep(step=i, epoch=i / 10, learning_rate=1e-3, loss=5.0 / (i + 1)) for i in range(30)]
    alone, beside = loss_curve(steps), loss_curve(steps, DEV_LOSSES)
    assert alone is not None
    assert beside is not None
    (dashed,) = re.findall(r'<polyline class="curve dashed" points="([^"]+)"', str(beside.drawing))
    assert len(dashed.split()) == len(DEV_LOSSES)
    assert 'class="curve dashed" points=""' in str(alone.drawing)
    page = text_of(parsed(written_report(finished)))
    assert "Development split of 16 examples" in page
    assert "dashed: development split" in page
