"""Status of the run and its gates: finished, failed, blocked, relaxed and tampered runs."""

import re
from pathlib import Path

import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.provenance import DeviceInfo, Session, collect_environment
from ctai.records import Verdict
from ctai.registry import GATES, metric_spec
from ctai.rundir import RunDir, read_record, write_json
from tests.support.html_report import heading, parsed, strip_of, text_of, written_report
from tests.support.reported import finished_run

pytestmark = pytest.mark.unit


def test_a_finished_run_is_said_to_have_passed(finished):
    html = written_report(finished)
    assert heading(html) == "All six gates passed."
    strip = strip_of(html)
    assert [entry.split()[:2] for entry in strip] == [[gate.number, gate.name] for gate in GATES]
    assert all("✓ passed" in entry for entry in strip)
    assert "could not be read" not in html


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_failed_gate_is_named_with_what_it_missed(tmp_path, gate):
    html = written_report(finished_run(tmp_path / "run", failed=gate.name))
    assert heading(html) == f"Stopped at gate {gate.name}: a threshold was missed."
    (verdict,) = (element for element in parsed(html).iter("div") if element.get("class") == "verdict bad")
    assert f"{gate.metric_names[0].replace('_', ' ')} is 0.200 and must be below 0.05: as measured" in text_of(verdict)
    assert f"Try next: {metric_spec(gate.metric_names[0]).remedy}." in text_of(verdict)
    signs = ["✓ passed"] * GATES.index(gate) + ["✕ failed"] + ["– blocked"] * (5 - GATES.index(gate))
    assert all(sign in entry for sign, entry in zip(signs, strip_of(html), strict=True))


def started(root: Path) -> tuple[RunDir, Session]:
    """A run directory in which nothing has been done yet."""
    rundir = RunDir.open(root)
    return rundir, Session(rundir, RunConfig(), collect_environment(DeviceInfo("cpu")), "run")


def test_a_gate_that_could_not_be_measured_says_why(tmp_path):
    rundir, session = started(tmp_path / "run")
    with pytest.raises(CtaiError), session.phase("contamination", {}):
        raise CtaiError("the weights are gone")
    html = written_report(rundir)
    assert heading(html) == "Stopped at gate contamination: it could not be measured."
    assert "the weights are gone" in html
    assert "blocked by gate contamination" in html


def test_an_old_verdict_does_not_hide_a_later_failure(copied):
    session = Session(copied, RunConfig(), collect_environment(DeviceInfo("cpu")), "run")
    with pytest.raises(CtaiError), session.phase("scale", {}):
        raise CtaiError("disk full")
    html = written_report(copied)
    assert heading(html) == "Stopped at gate scale: it could not be measured."
    assert "its verdict is from an earlier attempt" in html


def test_the_strip_keeps_time_and_reason_apart(copied):
    copied.path("evidence", "verdicts", "5-scale.json").write_text("{")
    (entry,) = (element for element in strip_of(written_report(copied)) if "not measured" in element)
    assert re.search(r"\d s · evidence/verdicts/5-scale.json", entry), entry


def test_a_run_that_has_only_begun(tmp_path):
    rundir, _ = started(tmp_path / "run")
    html = written_report(rundir)
    assert heading(html) == "No gate has run yet."
    assert "no such" not in html.lower()


def test_a_run_that_was_left_between_gates(copied):
    copied.verdict(GATES[-1]).unlink()
    session = copied.logs / "session_manifest.json"
    session.unlink()
    assert heading(written_report(copied)) == "Not finished: gate evaluation has not been run."


def test_a_metric_that_does_not_apply_is_never_shown_as_met(copied):
    path = copied.verdict(GATES[-1])
    verdict = read_record(path, Verdict)
    update = {"value": float("nan"), "interval": None, "n": 0, "note": "no such items", "applicable": False}
    metrics = (*verdict.metrics[:-1], verdict.metrics[-1].model_copy(update=update))
    write_json(path, verdict.model_copy(update={"metrics": metrics}))
    html = written_report(copied)
    rows = [row for row in parsed(html).iter("tr") if "no such items" in text_of(row)]
    (text,) = map(text_of, rows)
    assert "– not applicable" in text
    assert "met" not in text.split()
    assert rows[0].get("class") is None
    assert f"{len(metrics) - 1} of {len(metrics) - 1} met, 1 not applicable" in strip_of(html)[-1]


def test_looser_thresholds_are_not_called_a_plain_pass(copied):
    path = copied.verdict(GATES[-1])
    write_json(
        path,
        read_record(path, Verdict).model_copy(
            update={"relaxed_thresholds": ("evaluation.alpha = 0.5 (default 0.05)",)}
        ),
    )
    html = written_report(copied)
    assert heading(html) == "All six gates passed, but with thresholds relaxed from the defaults."
    assert "relaxed threshold: evaluation.alpha = 0.5 (default 0.05)" in html
    assert "! passed, relaxed thresholds" in strip_of(html)[-1]


def test_a_changed_artifact_takes_the_verdict_back(copied):
    with copied.dataset.open("a", encoding="utf-8") as file:
        file.write("\n")
    html = written_report(copied)
    assert heading(html) == "All six gates passed, but the evidence has changed since."
    assert "gate scale: data/stage1_sft_data.jsonl was changed after the verdict" in text_of(parsed(html))


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"notes": ("nothing to see",)}, "the previous verdict is not the one that this verdict names"),
        ({"metrics": ()}, "the verdict says passed without heldout_effective_items"),
    ],
)
def test_an_edited_verdict_is_not_believed(copied, update, words):
    path = copied.verdict(GATES[1])
    write_json(path, read_record(path, Verdict).model_copy(update=update))
    html = written_report(copied)
    assert heading(html) == "All six gates passed, but the evidence has changed since."
    assert words in html
