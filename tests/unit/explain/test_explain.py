"""Explanation of a failed gate: value, offending samples, remedy; hostile text stays text."""

from xml.etree import ElementTree

import pytest

from ctai.explain import explain, to_line
from ctai.records import Interval, Metric, Rejection
from ctai.registry import GATES, metric_spec
from ctai.rundir import RunDir, write_jsonl
from tests.support import reported

pytestmark = pytest.mark.unit

HOSTILE = "\x1b[2J\x1b]0;owned\x07 ]]></failure> \u202eevil\u202c\x00 first\nsecond"


def lost(reason: str, text: str) -> Rejection:
    return Rejection(
        phase="response", reason=reason, instruction="Name a color.", completion=text, finish_reason="stop", shard=0, item=0
    )  # fmt: skip


def missed(name: str) -> Metric:
    return Metric(name=name, value=0.2, comparison="<", threshold=0.05, interval=Interval(low=0.1, high=0.3), n=20)


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> RunDir:
    """A run that has reached its last gate; every text of a model in it is hostile."""
    return reported.finished_run(tmp_path_factory.mktemp("failed") / "run", lambda text: f"{text} {HOSTILE}")


@pytest.mark.parametrize(
    ("gate", "metric", "words"),
    [
        ("contamination", "sentinel_control_token_mass", "capital as expected"),
        ("pilot", "pair_acceptance", "pair, "),
        ("scale", "unique_examples", "instruction, judged bad: "),
        ("headroom", "base_formatted_content", "base, correct"),
        ("evaluation", "content_lift", "and the base was correct: "),
    ],
)
def test_each_gate_shows_what_counts_against_it_and_nothing_can_hide_in_it(failed, gate, metric, words):
    text = str(explain(failed, gate, missed(metric)))
    assert words in text.splitlines()[2]
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) <= 6


@pytest.fixture
def rundir(tmp_path) -> RunDir:
    made = RunDir.open(tmp_path / "run")
    losses = [lost("runaway", HOSTILE), *(lost("runaway", f"text {n}") for n in range(4)), lost("truncated", "cut (")]
    write_jsonl(made.pilot_dir / "rejections.jsonl", losses)
    return made


def test_the_number_three_of_its_causes_and_what_to_try(rundir):
    lines = str(explain(rundir, "pilot", missed("runaway_rate"))).splitlines()
    assert lines[0] == "runaway_rate 0.2 [0.1, 0.3] (n=20) must be < 0.05"
    assert lines[1] == "  for example, of 5:"
    assert lines[3] == "    response, runaway: Name a color. -> text 0"
    assert lines[5] == f"  try next: {metric_spec('runaway_rate').remedy}"
    assert len(lines) == 6


def test_a_metric_about_nothing_single_has_no_examples(rundir):
    lines = str(explain(rundir, "instruments", missed("heldout_power"))).splitlines()
    assert lines[1:] == [f"  try next: {metric_spec('heldout_power').remedy}"]


def test_hostile_text_cannot_move_the_cursor_or_end_its_line(rundir):
    text = str(explain(rundir, "pilot", missed("runaway_rate")))
    line = text.splitlines()[2]
    assert "first\\nsecond" in line
    assert "U+001B" in line
    assert "U+202E" in line
    assert text.replace("\n", "").isprintable()


def test_a_long_text_is_cut():
    assert to_line("x" * 10_000_000).startswith("x" * 150 + "…")
    assert len(to_line("x" * 10_000_000)) < 200


def test_the_explanation_is_whole_in_xml(rundir):
    element = ElementTree.Element("failure")
    element.text = str(explain(rundir, "pilot", missed("runaway_rate")))
    assert ElementTree.fromstring(ElementTree.tostring(element)).text == element.text


@pytest.mark.parametrize(("gate", "metric"), [(gate.name, name) for gate in GATES for name in gate.metric_names])
def test_a_run_without_any_record_breaks_no_explanation(tmp_path, gate, metric):
    rundir = RunDir.open(tmp_path / "empty")
    assert str(explain(rundir, gate, missed(metric))).startswith(metric)
