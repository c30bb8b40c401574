"""Verification of a finished run: a sound one has no differences, and every change is found by digest or recomputation."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ctai.cli import main
from ctai.errors import CtaiError
from ctai.evidence.attestation import BUNDLE, covered_files, write_attestations
from ctai.evidence.sessions import stage_manifests
from ctai.evidence.verdicts import verdict_path
from ctai.records import (
    ContaminationReport,
    EvaluationItem,
    EvaluationSummary,
    Example,
    GenerationRound,
    QcSummary,
    Record,
    Rejection,
    SessionLog,
    SessionManifest,
    StageManifest,
    TrainingManifest,
    TrainingSuccess,
    Verdict,
)
from ctai.registry import GATE_NAMES, GATES, gate_named
from ctai.rundir import RunDir, read_jsonl, read_record, write_json, write_jsonl
from ctai.rundir.reader import RunReader
from ctai.verification.metrics import RECOMPUTED_METRICS
from ctai.verification.records import RunRecords
from ctai.verification.verify import attest, find_differences, outcomes, read_verdicts, remarks, verify
from tests.support.finished import edit_verdict, first_difference, with_metric

pytestmark = pytest.mark.unit

FOLLOWS = "follows from the records"


def assert_found(rundir: RunDir, *problems: str) -> None:
    """Assert that each text is part of a difference; stops at the last of them."""
    missing = set(problems)
    for difference in find_differences(rundir.root):
        missing -= {problem for problem in missing if problem in difference}
        if not missing:
            return
    raise AssertionError(f"not found: {missing}")


# ------------------------------------------------------------------------------------------------------------- sound


def test_sound_evidence_verifies(finished, capsys):
    assert verify(finished) == []
    assert set(outcomes(finished).values()) == {"passed"}
    assert main(["verify", str(finished)]) == 0
    out = capsys.readouterr().out
    assert "instruments    passed" in out
    assert "OK: all files, verdicts and metrics match the evidence" in out


def test_verifying_imports_no_torch(finished):
    code = "import sys; from ctai.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, "verify", str(finished)], check=True, capture_output=True)


def test_what_is_no_evidence_is_named_and_may_change(rundir):
    (rundir.logs / "session_manifest.json").unlink()
    rundir.path("report").mkdir(exist_ok=True)
    rundir.path("report", "index.html").write_text("<html>")
    assert verify(rundir.root) == []
    assert any("below logs, report, reviews, superseded are not evidence" in text for text in remarks(rundir.root))
    assert any(text.startswith("logs/session_manifest.json is missing") for text in remarks(rundir.root))


def test_every_metric_of_every_gate_is_computed_again(finished):
    assert tuple(RECOMPUTED_METRICS) == GATE_NAMES
    records = RunRecords(RunDir(finished), read_verdicts(RunDir(finished)).readable)
    for gate in GATES:
        assert {metric.name for metric in RECOMPUTED_METRICS[gate.name](records)} == set(gate.metric_names)


def test_a_folder_without_evidence_is_a_clear_error(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "holds no verdicts" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------- files


@pytest.mark.fault(26, plant="an artifact changed or removed after its gate", check="ctai verify")
def test_a_changed_byte_in_any_file_is_found(rundir):
    rng = random.Random(0)
    for name in [*covered_files(rundir), BUNDLE]:
        path = rundir.path(name)
        sound = path.read_bytes()
        for place in {0, len(sound) - 1, rng.randrange(len(sound))} if sound else ():
            changed = bytearray(sound)
            changed[place] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            assert name in first_difference(rundir), (name, place)
        path.write_bytes(sound)
    assert first_difference(rundir) == ""


@pytest.mark.fault(26, plant="an artifact changed or removed after its gate", check="ctai verify")
def test_a_removed_or_added_file_is_found(rundir):
    for name in [*covered_files(rundir), BUNDLE]:
        path = rundir.path(name)
        aside = path.rename(rundir.root.with_name("aside"))
        assert name in first_difference(rundir)
        aside.rename(path)
    rundir.path("data", "more.jsonl").write_text("{}")
    assert first_difference(rundir).startswith("data/more.jsonl: not covered by the attestations")


def test_a_file_replaced_by_a_link_to_its_copy_is_found(rundir, tmp_path):
    path = rundir.heldout
    path.symlink_to(path.rename(tmp_path / "elsewhere"))
    assert first_difference(rundir).startswith("data/heldout.jsonl: changed")


def swap(left: Path, right: Path) -> None:
    """Exchange two files."""
    aside = left.rename(left.with_name("aside"))
    right.rename(left)
    aside.rename(right)


@pytest.mark.parametrize("file", ["dataset.jsonl", "rejections.jsonl", "generation.jsonl", "manifest.json"])
def test_swapped_files_are_found_even_when_they_were_attested_so(rundir, file):
    swap(rundir.shard_dir(0) / file, rundir.shard_dir(1) / file)
    write_attestations(rundir)
    assert first_difference(rundir) != ""


def test_a_shard_replaced_by_a_copy_of_another_one_is_found_without_any_digest(rundir):
    shutil.rmtree(rundir.shard_dir(1))
    shutil.copytree(rundir.shard_dir(0), rundir.shard_dir(1))
    write_attestations(rundir)
    assert_found(
        rundir,
        "were generated with other seeds",
        f"artifacts/shards/shard-001/generation.jsonl[0].shard: is 0, but 1 {FOLLOWS}",
    )


# ------------------------------------------------------------------------------------------------ sessions and makers


def test_every_artifact_says_who_made_it_and_all_agree(finished):
    rundir = RunDir(finished)
    (maker,) = read_record(rundir.verdict(GATES[-1]), Verdict).measured_by
    manifests = stage_manifests(rundir)
    assert len(manifests) > 5
    assert {read_record(path, StageManifest).made_by for path in manifests} == {maker}
    assert read_record(rundir.dataset_qc, QcSummary).made_by == maker
    assert read_record(rundir.results_dir / "evaluation.json", EvaluationSummary).made_by == maker
    assert read_record(rundir.adapter_dir / "training_manifest.json", TrainingManifest).made_by == maker
    success = read_record(rundir.adapter_dir / "TRAINING_SUCCESS", TrainingSuccess)
    assert success.git_commit == maker.git_commit
    (session,) = read_record(rundir.session_log, SessionLog).sessions
    assert session.made_by == maker
    assert session.outcomes == dict.fromkeys(GATE_NAMES, "passed")


@pytest.mark.fault(42, plant="another commit in the session manifest", check="ctai verify, ctai attest")
def test_a_removed_session_log_and_an_edited_session_manifest_are_found(rundir):
    path = rundir.session_manifest
    manifest = read_record(path, SessionManifest)
    environment = manifest.environment.model_copy(update={"git_commit": "0" * 40})
    write_json(path, manifest.model_copy(update={"environment": environment}))
    assert first_difference(rundir) == (
        "logs/session_manifest.json: was changed; evidence/sessions.json has another digest of it"
    )
    with pytest.raises(CtaiError, match="was not attested"):
        attest(rundir.root)
    rundir.session_log.unlink()
    write_attestations(rundir)
    assert first_difference(rundir).startswith("evidence/sessions.json: missing")


@pytest.mark.fault(41, plant="a run of which a test failed, exported anyway", check="ctai verify, ctai export")
def test_a_failed_test_of_no_gate_is_a_difference_named_first_and_forbids_export(rundir, tmp_path, capsys):
    log = read_record(rundir.session_log, SessionLog)
    failed = {"tests/gates/test_more.py::test_more": "assert False"}
    write_json(rundir.session_log, log.model_copy(update={"failed_tests": failed}))
    write_attestations(rundir)
    sentence = "evidence/sessions.json: 1 failed test: tests/gates/test_more.py::test_more: assert False"
    assert verify(rundir.root) == [sentence]
    assert main(["verify", str(rundir.root)]) == 1
    assert f"DIFFERS  {sentence}" in capsys.readouterr().out
    assert main(["export", str(rundir.root), "--to", str(tmp_path / "shared"), "--anyway"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.fault(42, plant="another commit in a record of data, training or evaluation", check="ctai verify")
@pytest.mark.parametrize(
    "name",
    [
        "data/qc_summary.json",
        "artifacts/pilot/qc_summary.json",
        "results/sft_eval/evaluation.json",
        "checkpoints/stage1_sft/training_manifest.json",
        "checkpoints/stage1_sft/TRAINING_SUCCESS",
    ],
)
def test_another_maker_in_a_record_is_found(rundir, name):
    path = rundir.path(*name.split("/"))
    record = json.loads(path.read_bytes())
    (record if "git_commit" in record else record["made_by"])["git_commit"] = "f" * 40
    path.write_text(json.dumps(record))
    assert_found(rundir, f"git_commit: is '{'f' * 40}'")


@pytest.mark.fault(42, plant="another maker in a verdict or a JUnit suite", check="ctai verify")
def test_another_maker_in_a_verdict_or_a_suite_is_found(rundir):
    (maker,) = read_record(rundir.verdict(gate_named("pilot")), Verdict).measured_by
    edit_verdict(rundir, "pilot", measured_by=(maker.model_copy(update={"device": "cuda: H200"}),))
    assert_found(rundir, "4-pilot.json: measured_by[0].device: is 'cuda: H200', but ")
    path = rundir.junit_report
    text = path.read_text()
    assert text.count(f'name="measured_by.git_commit" value="{maker.git_commit}"') == len(GATES)
    path.write_text(
        text.replace(f'"measured_by.git_commit" value="{maker.git_commit}"', '"measured_by.git_commit" value="0"')
    )
    assert_found(rundir, "evidence/gates.xml: the makers in the suite of gate scale differ from those in its verdict")


def test_a_stage_without_a_maker_is_found(rundir):
    path = rundir.merge_stage_dir / "manifest.json"
    write_json(path, read_record(path, StageManifest).model_copy(update={"made_by": None}))
    assert_found(rundir, "artifacts/merge/manifest.json: does not say who made it")


# ------------------------------------------------------------------------------------------------- verdicts, the chain


def test_an_edited_verdict_breaks_the_chain(rundir):
    edit_verdict(rundir, "contamination", notes=("nothing to see",))
    assert first_difference(rundir).startswith("evidence/verdicts/1-contamination.json: changed")
    assert_found(
        rundir,
        "2-instruments.json: the verdict before it is not the one",
        "lacks a test case with the verdict of gate contamination for",
    )


def test_a_removed_verdict_is_missed(rundir):
    rundir.verdict(GATES[0]).unlink()
    assert_found(rundir, "there is no verdict of gate contamination")


def test_a_verdict_that_contradicts_its_metrics_is_found(rundir):
    metrics = with_metric(rundir, "instruments", "heldout_power", value=0.1)
    edit_verdict(rundir, "instruments", metrics=metrics[:-1])
    assert_found(
        rundir,
        "says passed, but heldout_power 0.1 < 0.8",
        f"does not judge exactly the metrics of its gate: {metrics[-1].name}",
    )


def test_a_value_and_a_threshold_are_computed_again(rundir):
    edit_verdict(rundir, "scale", metrics=with_metric(rundir, "scale", "pair_acceptance", value=1.0))
    edit_verdict(rundir, "pilot", metrics=with_metric(rundir, "pilot", "runaway_rate", threshold=0.5))
    edit_verdict(rundir, "evaluation", metrics=with_metric(rundir, "evaluation", "guarded_non_inferiority", n=40))
    assert_found(
        rundir,
        f"6-evaluation.json: guarded_non_inferiority.n: is 40, but 0 {FOLLOWS}",
        "5-scale.json: pair_acceptance.value: is 1.0, but 0.",
        f"4-pilot.json: runaway_rate.threshold: is 0.5, but 0.05 {FOLLOWS}",
    )


def test_a_metric_that_must_apply_and_says_otherwise_is_found(rundir):
    without = with_metric(rundir, "pilot", "runaway_rate", value=float("nan"), interval=None, applicable=False)
    edit_verdict(rundir, "pilot", metrics=without)
    assert_found(
        rundir,
        "4-pilot.json: says that runaway_rate is not applicable, but it must apply to every run",
        f"4-pilot.json: runaway_rate.applicable: is False, but True {FOLLOWS}",
    )
    assert "gate pilot: runaway_rate not applicable" in remarks(rundir.root)
    mismatches = RunReader(rundir).find_inconsistencies(gate_named("pilot"))
    assert "the verdict says that runaway_rate is not applicable, but it must apply to every run" in mismatches


@pytest.mark.parametrize(
    ("gate", "update", "problem"),
    [
        ("pilot", {"config": {}}, "its configuration does not match its digest"),
        ("pilot", {"key": "0" * 64}, "its key does not match"),
        ("pilot", {"code_digest": "0" * 64}, "has other code or other weights"),
        ("evaluation", {"weights_digest": "other"}, "the weights differ from those that were checked"),
        ("evaluation", {"outcome": "failed"}, "says failed and gives no reason"),
        ("evaluation", {"artifacts": {}}, "for which it records no digest"),
        ("evaluation", {"artifacts": {"../secret": "0" * 64}}, "lies outside the run directory"),
    ],
)
def test_a_verdict_that_does_not_fit_together_is_found(rundir, gate, update, problem):
    edit_verdict(rundir, gate, **update)
    assert_found(rundir, problem)


def test_a_verdict_that_was_cut_in_half_is_said_once_and_plainly(rundir, capsys):
    name = verdict_path(rundir, gate_named("pilot"))
    data = rundir.path(name).read_bytes()
    rundir.path(name).write_bytes(data[: len(data) // 2])
    changed, unreadable, without = verify(rundir.root)
    assert changed == f"{name}: changed since the attestations were written"
    assert unreadable.startswith(f"{name}: unreadable verdict (Invalid JSON: EOF while parsing ")
    assert unreadable.endswith("); restore it, or remove it and run the gates again")
    assert without == "scale: cannot be recomputed without the verdict of gate pilot"
    assert main(["verify", str(rundir.root)]) == 1
    assert "pilot          unreadable" in capsys.readouterr().out


def test_a_manifest_is_held_against_its_key_and_against_what_it_was_made_from(rundir):
    path = rundir.path("artifacts", "merge", "manifest.json")
    manifest = read_record(path, StageManifest)
    write_json(path, manifest.model_copy(update={"inputs": {**manifest.inputs, "heldout": "0" * 64}}))
    assert_found(
        rundir,
        "artifacts/merge/manifest.json: its key does not match",
        "artifacts/merge/manifest.json inputs.heldout: is '000",
    )


# ------------------------------------------------------------------------------------------------------- JUnit report


def edit_report(rundir: RunDir, edit: Callable[[ElementTree.Element], object]) -> None:
    """Change the test case of the pilot's kept_examples."""
    path = rundir.evidence / "gates.xml"
    tree = ElementTree.parse(path)
    case = next(
        case
        for case in tree.iter("testcase")
        if {"pilot", "kept_examples"} <= {p.get("value") for p in case.iter("property")}
    )
    edit(case)
    tree.write(path, encoding="utf-8", xml_declaration=True)
    write_attestations(rundir)


def property_of(case: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(p for p in case.iter("property") if p.get("name") == name)


def test_the_report_carries_the_verdict_of_every_test_case(rundir):
    cases = list(ElementTree.parse(rundir.evidence / "gates.xml").iter("testcase"))
    assert len(cases) == sum(len(gate.metric_names) for gate in GATES)
    files = covered_files(rundir)
    assert all(
        property_of(case, "verdict_sha256").get("value") == files[property_of(case, "verdict").get("value", "")]
        for case in cases
    )


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda case: property_of(case, "value").set("value", "119.0"), "has value '119.0', the verdict 100.0"),
        (lambda case: property_of(case, "threshold").set("value", ">= 1"), "has threshold '>= 1', the verdict '>= 100'"),
        (lambda case: property_of(case, "artifact_sha256").set("value", ""), "has artifact_sha256 ''"),
        (lambda case: ElementTree.SubElement(case, "failure"), "has the outcome failure, but the verdict says passed"),
        (lambda case: ElementTree.SubElement(case, "skipped"), "has the outcome skipped, but the verdict says passed"),
        (
            lambda case: property_of(case, "verdict_sha256").set("value", ""),
            "lacks a test case with the verdict of gate pilot for kept_examples",
        ),
    ],
)  # fmt: skip
def test_a_report_that_says_something_else_than_the_verdicts_is_found(rundir, edit, problem):
    edit_report(rundir, edit)
    assert_found(rundir, problem)


def test_a_report_that_is_missing_or_no_xml_is_found(rundir):
    (rundir.evidence / "gates.xml").write_text("<testsuite>")
    assert_found(rundir, "is not a JUnit report")
    (rundir.evidence / "gates.xml").unlink()
    assert_found(rundir, "evidence/gates.xml: missing; the JUnit report belongs to the evidence")


# -------------------------------------------------------------------------------------------------- recomputation


def edit_line(path: Path, kind: type[Record], index: int, **update: object) -> None:
    """Change one record of a JSONL file."""
    records = read_jsonl(path, kind)
    records[index] = records[index].model_copy(update=update)
    write_jsonl(path, records)


def test_a_sentinel_result_that_its_text_does_not_deserve(rundir):
    path = rundir.path("evidence", "contamination", "model_check.json")
    report = read_record(path, ContaminationReport)
    assert report.provenance is not None
    assert report.provenance.sentinels is not None
    sentinels = report.provenance.sentinels
    results = list(sentinels.results)
    at = next(i for i, result in enumerate(results) if result.kind == "completion")
    results[at] = results[at].model_copy(update={"response": " nothing of the kind"})
    changed = sentinels.model_copy(update={"results": tuple(results)})
    provenance = report.provenance.model_copy(update={"sentinels": changed})
    write_json(path, report.model_copy(update={"provenance": provenance}))
    assert_found(
        rundir,
        f"model_check.json sentinels.results[{at}].value: is 1.0, but 0.0 {FOLLOWS}",
        "1-contamination.json: sentinel_completion_rate.value: is 1.0, but 0.9",
    )


def test_another_test_set_than_the_seed_draws(rundir):
    lines = rundir.heldout.read_bytes().splitlines(keepends=True)
    rundir.heldout.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    assert_found(
        rundir,
        "data/heldout.jsonl[0].instruction: is",
        "inputs.heldout: is",
    )


def test_a_response_that_the_model_did_not_write(rundir):
    edit_line(rundir.shard_dir(0) / "dataset.jsonl", Example, 3, response="something better")
    assert_found(
        rundir,
        "has a response that is not what is left of the raw text",
        "data/stage1_sft_data.jsonl[3].response: is",
    )


def test_a_fault_that_was_left_out(rundir):
    path = rundir.shard_dir(0) / "dataset.jsonl"
    raw = " Paris\n\nInstruction: Name it.\nResponse: it\n\nInstruction: Name"
    edit_line(path, Example, 3, completion=raw, finish_reason="length")
    assert_found(
        rundir,
        ".raw_faults",
        "5-scale.json: token_limit_rate.value: is 0.0, but",
    )


def test_a_judgement_that_does_not_follow_from_its_log_probabilities(rundir):
    path = rundir.shard_dir(0) / "generation.jsonl"
    critiques = list(read_jsonl(path, GenerationRound)[0].instruction_critiques)
    bad = next(i for i, critique in enumerate(critiques) if not critique.is_good)
    critiques[bad] = critiques[bad].model_copy(update={"is_good": True, "predicted_label": "A"})
    edit_line(path, GenerationRound, 0, instruction_critiques=tuple(critiques))
    assert_found(rundir, "has a judgement that does not follow from its log-probabilities")


def test_a_loss_that_is_hidden(rundir):
    path = rundir.pilot_dir / "rejections.jsonl"
    rejections = read_jsonl(path, Rejection)
    hidden = next(i for i, rejection in enumerate(rejections) if rejection.phase == "pair")
    write_jsonl(path, [*rejections[:hidden], *rejections[hidden + 1 :]])
    assert_found(
        rundir,
        f"instruction {rejections[hidden].item} (",
        "is neither kept nor rejected",
    )


def test_a_duplicate_that_was_kept(rundir):
    path = rundir.dataset
    examples = read_jsonl(path, Example)
    write_jsonl(path, [*examples, examples[0]])
    assert_found(rundir, f"stage1_sft_data.jsonl: has {len(examples) + 1} entries, but {len(examples)} follow")


def test_an_answer_that_is_scored_as_right_and_is_wrong(rundir):
    path = rundir.path("results", "sft_eval", "arms", "sft", "items.jsonl")
    wrong = next(i for i, item in enumerate(read_jsonl(path, EvaluationItem)) if not item.content)
    for name in (path, rundir.results_dir / "sft_items.jsonl"):
        edit_line(name, EvaluationItem, wrong, content=True, strict=True, failure_reason="")
    assert_found(
        rundir,
        f"results/sft_eval/arms/sft/items.jsonl[{wrong}].content: is True, but False {FOLLOWS}",
        f"results/sft_eval/sft_items.jsonl[{wrong}].content: is True, but False {FOLLOWS}",
    )


def test_a_statistic_that_does_not_follow_from_the_answers(rundir):
    path = rundir.results_dir / "evaluation.json"
    summary = read_record(path, EvaluationSummary)
    table = summary.overall.mcnemar.model_copy(update={"p_value": 1e-30})
    write_json(path, summary.model_copy(update={"overall": summary.overall.model_copy(update={"mcnemar": table})}))
    assert_found(rundir, "results/sft_eval/evaluation.json.overall.mcnemar.p_value: is 1e-30, but")


def test_another_adapter_than_the_one_that_was_trained(rundir):
    path = rundir.adapter_dir / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "lora_alpha": 99}, indent=2))
    assert_found(
        rundir,
        "checkpoints/stage1_sft/training_manifest.json.adapter_digest: is",
        "results/sft_eval/evaluation.json.arms.sft: is",
    )
