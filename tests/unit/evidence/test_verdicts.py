"""Verdicts: what passes, what is incomplete, and how each change afterwards makes a verdict stale."""

import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evidence.result import GateResult
from ctai.evidence.verdicts import (
    missing_prerequisite,
    read_verdict,
    record_verdict,
    supersede_outputs,
    verdict_status,
)
from ctai.records import Metric, Verdict
from ctai.registry import GATES, gate_named, gates_after
from ctai.rundir import RunDir, read_record, sha256_file, write_json, write_text

pytestmark = pytest.mark.unit
DEFAULTS = RunConfig()


@pytest.fixture
def rundir(tmp_path) -> RunDir:
    return RunDir.open(tmp_path / "run with space é")


def measured(rundir: RunDir, gate: str, value: float = 0.0) -> GateResult:
    artifact = rundir.path("artifacts", f"{gate}.txt")
    write_text(artifact, gate)
    name = rundir.relative(artifact)
    metrics = tuple(
        Metric(name=metric, value=value, comparison="<", threshold=0.05, artifact=name)
        for metric in gate_named(gate).metric_names
    )
    return GateResult(gate, metrics, {name: sha256_file(artifact)}, "weights")


def pass_gate(rundir: RunDir, gate: str, config: RunConfig = DEFAULTS) -> Verdict:
    outcomes = dict.fromkeys(gate_named(gate).metric_names, "passed")
    return record_verdict(rundir, config, measured(rundir, gate), outcomes)


def test_a_gate_passes_only_when_every_metric_was_asserted(rundir):
    names = gate_named("instruments").metric_names
    all_but_one = dict.fromkeys(names[1:], "passed")
    verdict = record_verdict(rundir, DEFAULTS, measured(rundir, "instruments"), all_but_one)
    assert verdict.outcome == "incomplete"
    assert verdict.reasons == (f"{names[0]} was not tested",)
    assert record_verdict(rundir, DEFAULTS, measured(rundir, "instruments"), {}).outcome == "incomplete"
    complete = dict.fromkeys(names, "passed")
    assert record_verdict(rundir, DEFAULTS, measured(rundir, "instruments"), complete).passed


def with_value(rundir: RunDir, gate: str, name: str, value: float) -> GateResult:
    sound = measured(rundir, gate)
    metrics = tuple(m.model_copy(update={"value": value}) if m.name == name else m for m in sound.metrics)
    return sound._replace(metrics=metrics)


def test_a_missed_threshold_fails_the_gate_and_names_value_and_threshold(rundir):
    outcomes = dict.fromkeys(gate_named("pilot").metric_names, "passed") | {"runaway_rate": "failed"}
    verdict = record_verdict(rundir, DEFAULTS, with_value(rundir, "pilot", "runaway_rate", 0.209), outcomes)
    assert verdict.outcome == "failed"
    assert verdict.reasons == ("runaway_rate 0.209 >= 0.05",)


def test_a_test_that_passes_on_a_missed_threshold_does_not_pass_the_gate(rundir):
    outcomes = dict.fromkeys(gate_named("pilot").metric_names, "passed")
    verdict = record_verdict(rundir, DEFAULTS, with_value(rundir, "pilot", "runaway_rate", float("nan")), outcomes)
    assert verdict.outcome == "failed"
    assert verdict.reasons == ("runaway_rate nan >= 0.05",)


def test_a_part_of_the_tests_takes_nothing_from_a_standing_verdict(rundir):
    passed = pass_gate(rundir, "contamination")
    partial = record_verdict(rundir, DEFAULTS, measured(rundir, "contamination"), {})
    assert partial.outcome == "incomplete"
    assert read_verdict(rundir, GATES[0]) == passed


def test_a_verdict_that_is_decided_otherwise_leaves_the_earlier_one_on_record(rundir):
    gate, names = gate_named("contamination"), gate_named("contamination").metric_names
    failed = record_verdict(rundir, DEFAULTS, measured(rundir, gate.name), dict.fromkeys(names, "failed"))
    pass_gate(rundir, gate.name)
    pass_gate(rundir, gate.name)  # the same again: nothing to keep
    kept = list(rundir.path("superseded").rglob("*.json"))
    assert [path.name for path in kept] == ["1-contamination-0.json"]
    assert read_record(kept[0], Verdict) == failed


def test_what_later_gates_left_is_moved_aside_when_a_gate_fails(rundir):
    pass_gate(rundir, "contamination")
    pass_gate(rundir, "pilot")
    write_text(rundir.path("artifacts", "pilot", "dataset.jsonl"), "{}")
    write_text(rundir.path("checkpoints", "stage1_sft", "TRAINING_SUCCESS"), "{}")
    supersede_outputs(rundir, gates_after("instruments"))
    assert not rundir.path("artifacts", "pilot").exists()
    assert not rundir.path("checkpoints", "stage1_sft").exists()
    assert read_verdict(rundir, gate_named("pilot")) is None
    assert read_verdict(rundir, GATES[0]) is not None
    assert rundir.path("superseded", "blocked-0", "artifacts", "pilot", "dataset.jsonl").read_text() == "{}"


def test_trouble_that_is_no_metric_fails_the_gate(rundir):
    outcomes = dict.fromkeys(gate_named("pilot").metric_names, "passed")
    verdict = record_verdict(rundir, DEFAULTS, measured(rundir, "pilot"), outcomes, ("disk full",))
    assert verdict.outcome == "failed"
    assert verdict.reasons == ("disk full",)


def without(sound: GateResult, name: str) -> GateResult:
    """The result in which a metric has nothing to measure."""
    update = {"value": float("nan"), "n": 0, "note": "no such items", "applicable": False}
    return sound._replace(metrics=tuple(m.model_copy(update=update) if m.name == name else m for m in sound.metrics))


@pytest.mark.parametrize("outcome", ["skipped", None])
def test_a_metric_that_does_not_apply_decides_nothing_and_needs_no_test(rundir, outcome):
    outcomes = dict.fromkeys(gate_named("pilot").metric_names, "passed") | {"runaway_rate": outcome}
    result = without(measured(rundir, "pilot"), "runaway_rate")
    verdict = record_verdict(rundir, DEFAULTS, result, {name: text for name, text in outcomes.items() if text})
    assert (verdict.outcome, verdict.reasons) == ("passed", ())
    assert not verdict.metrics[1].passed
    assert not verdict.metrics[1].missed
    again = read_record(rundir.verdict(gate_named("pilot")), Verdict).metrics[1]
    assert again.sentence() == "runaway_rate not applicable: no such items"


def test_a_failed_test_counts_also_when_its_metric_does_not_apply(rundir):
    outcomes = dict.fromkeys(gate_named("pilot").metric_names, "passed") | {"runaway_rate": "failed"}
    verdict = record_verdict(rundir, DEFAULTS, without(measured(rundir, "pilot"), "runaway_rate"), outcomes)
    assert (verdict.outcome, verdict.reasons) == ("failed", ("the test of runaway_rate failed",))


def test_a_skipped_test_of_a_metric_that_applies_leaves_the_gate_incomplete(rundir):
    outcomes = dict.fromkeys(gate_named("pilot").metric_names, "passed") | {"runaway_rate": "skipped"}
    verdict = record_verdict(rundir, DEFAULTS, measured(rundir, "pilot"), outcomes)
    assert (verdict.outcome, verdict.reasons) == ("incomplete", ("runaway_rate was not tested",))


def test_a_skipped_test_without_a_metric_leaves_the_gate_incomplete(rundir):
    outcomes = dict.fromkeys(gate_named("pilot").metric_names, "passed")
    skipped = ("test_more was skipped: no time",)
    verdict = record_verdict(rundir, DEFAULTS, measured(rundir, "pilot"), outcomes, untested=skipped)
    assert (verdict.outcome, verdict.reasons) == ("incomplete", skipped)


def test_verdicts_stand_in_a_chain_and_the_first_missing_one_is_named(rundir):
    pass_gate(rundir, "contamination")
    assert missing_prerequisite(rundir, RunConfig(), gate_named("instruments")) == ""
    problem = missing_prerequisite(rundir, RunConfig(), gate_named("evaluation"))
    assert problem.startswith("there is no verdict of gate instruments")


def test_an_artifact_edited_after_its_gate_passed_makes_the_verdict_stale(rundir):
    pass_gate(rundir, "contamination")
    rundir.path("artifacts", "contamination.txt").write_text("contaminatioN", encoding="utf-8")
    assert "was changed after the gate passed" in verdict_status(rundir, RunConfig(), GATES[0]).problem
    rundir.path("artifacts", "contamination.txt").unlink()
    assert "is missing" in verdict_status(rundir, RunConfig(), GATES[0]).problem


@pytest.mark.fault(28, plant="a verdict of another configuration", check="verdict: configuration")
def test_another_configuration_makes_the_verdict_stale_but_later_sections_do_not(rundir):
    pass_gate(rundir, "contamination")
    other_model = RunConfig(model=RunConfig().model.model_copy(update={"name": "elsewhere"}))
    other_training = RunConfig(training=RunConfig().training.model_copy(update={"rank": 8}))
    assert "configuration has changed" in verdict_status(rundir, other_model, GATES[0]).problem
    assert verdict_status(rundir, other_training, GATES[0]).verdict is not None


@pytest.mark.fault(28, plant="a verdict on an earlier one that was decided again", check="chain of verdicts")
def test_deciding_an_earlier_gate_again_with_another_result_makes_later_verdicts_stale(rundir):
    pass_gate(rundir, "contamination")
    pass_gate(rundir, "instruments")
    names = gate_named("contamination").metric_names
    record_verdict(rundir, DEFAULTS, measured(rundir, "contamination", 0.01), dict.fromkeys(names, "passed"))
    assert (
        "a gate before it was decided again" in verdict_status(rundir, RunConfig(), gate_named("instruments")).problem
    )


@pytest.mark.fault(28, plant="a verdict of other code", check="verdict: code")
def test_a_verdict_of_other_code_is_stale(rundir):
    verdict = pass_gate(rundir, "contamination")
    path = rundir.verdict(GATES[0])
    write_json(path, verdict.model_copy(update={"code_digest": "0" * 64}))
    assert "code has changed" in verdict_status(rundir, RunConfig(), GATES[0]).problem


def test_a_verdict_file_that_is_no_verdict_is_a_clear_error(rundir):
    pass_gate(rundir, "contamination")
    path = rundir.verdict(GATES[0])
    path.write_text('{"gate": "contamination"}', encoding="utf-8")
    with pytest.raises(CtaiError, match=r"1-contamination\.json: unreadable verdict \(outcome: Field required\)"):
        read_verdict(rundir, GATES[0])


def test_nan_meets_no_threshold():
    for comparison in ("<", "<=", ">", ">=", "=="):
        assert not Metric(name="x", value=float("nan"), comparison=comparison, threshold=0.0).passed


def test_verdicts_survive_the_disk(rundir):
    verdict = pass_gate(rundir, "contamination")
    assert read_record(rundir.verdict(GATES[0]), Verdict) == verdict
