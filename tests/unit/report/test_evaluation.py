"""Evaluation data of the report: the paired table, and every failed answer beside the answer of the other arm."""

import re

import pytest

from ctai.report.evaluation import paired_table
from ctai.rundir.reader import RunReader
from tests.support.html_report import parsed, text_of, written_report

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
