"""Purity ledger in the report: statements, and a row for every phase and family."""

import pytest

from ctai.qc.purity import PurityCounter, estimate_unparsed
from ctai.records import PurityLedger
from ctai.report.purity import purity_view
from ctai.statistics import rate
from ctai.tasks import registry
from tests.support.generated import critique, example
from tests.support.html_report import parsed, text_of, written_report
from tests.unit.qc.test_purity import bad_pair

pytestmark = pytest.mark.unit


def ledger() -> PurityLedger:
    counter = PurityCounter()
    for i, family in enumerate(registry.EMBEDDED_FAMILIES[:6]):
        text = family.render(family.keys[0], 0)
        counter.keep(example(i, instruction=text, response=family.answer(family.keys[0])))
        counter.reject(bad_pair(text, "nothing at all"))
    counter.keep(example(9, instruction="Describe the sea."))
    assert not critique(-2.0).accepted
    return counter.ledger()


def test_every_phase_and_every_family_has_a_row_with_counts_and_interval():
    view = purity_view(ledger())
    rows = {row.name: row.cells for row in view.phases.rows}
    assert tuple(rows) == ("generated", "judged", "accepted", "rejected", "kept")
    assert (rows["judged"][1].value, rows["judged"][1].counts) == ("50.0%", "6 of 12")
    assert (rows["kept"][1].value, rows["kept"][1].counts) == ("100.0%", "6 of 6")
    assert rows["kept"][0].value == "none"
    assert rows["kept"][1].interval.endswith("to 1")
    families = {row.name: row.cells for row in view.families.rows}
    assert set(families) == {family.name for family in registry.EMBEDDED_FAMILIES[:6]}
    assert all(len(cells) == len(view.families.columns) for cells in families.values())
    assert [cell.counts for cell in families["capital"]] == ["2 of 2", "1 of 2", "0 of 1", "1 of 1"]


def test_the_statements_name_gain_and_estimate():
    pair, instruction, unparsed = purity_view(ledger()).statements
    assert pair.startswith("Pair critic: gain. It changes the share of right pairs among parsed ones by +0.500")
    assert "rejected 6 of 13" not in pair
    assert "rejected 6 of 12" in pair
    assert instruction.startswith("Instruction critic: no gain shown.")
    assert unparsed.startswith(
        "Unparsed pairs kept: 1. No estimate of their purity: 6 parsed pairs are right and 6 wrong"
    )


def test_an_estimate_is_stated_with_its_interval():
    made = ledger()
    estimate = estimate_unparsed(rate(62, 100), rate(95, 100), rate(70, 100))
    pairs = made.pairs.model_copy(update={"unparsed_estimate": estimate})
    statement = purity_view(made.model_copy(update={"pairs": pairs})).statements[2]
    assert f"estimated to be right in {100 * estimate.accepted_value:.1f}%" in statement


def test_the_report_shows_the_purity_of_pilot_and_scale(finished):
    html = parsed(written_report(finished))
    for gate in ("pilot", "scale"):
        (section,) = (element for element in html.iter("section") if element.get("id") == f"gate-{gate}")
        words = text_of(section)
        assert "Purity by phase" in words
        assert "Pair critic: no gain shown." in words
