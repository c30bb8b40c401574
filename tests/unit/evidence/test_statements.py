"""Statements for other tools: they fit the published schemas, follow from the verdicts, and are compared by verification."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ctai.evidence.attestation import BUNDLE, write_attestations
from ctai.evidence.statements import PROVENANCE_TYPE, TEST_RESULT_TYPE, RunFiles, gate_test_result
from ctai.records import Metric, StageManifest, TrainingManifest, Verdict
from ctai.registry import GATES, gate_named
from ctai.rundir import RunDir, canonical_json, read_record, sha256_file
from tests.support.finished import first_difference
from tests.support.statement_schema import Statement

pytestmark = pytest.mark.unit


def lines_of(rundir: RunDir, predicate_type: str | None = None) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in rundir.path(BUNDLE).read_text().splitlines()]
    return [line for line in lines if predicate_type in (None, line["predicateType"])]


def test_result_of(rundir: RunDir, gate: str, **update: object) -> dict[str, Any]:
    """Predicate of a gate whose verdict is edited."""
    verdict = read_record(rundir.verdict(gate_named(gate)), Verdict).model_copy(update=update)
    return dict(gate_test_result(RunFiles(rundir, {}), gate_named(gate), verdict).predicate)


test_result_of.__test__ = False  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------------------- schema


def test_every_statement_fits_the_published_schema(finished):
    lines = lines_of(RunDir(finished))
    assert [Statement.model_validate(line).predicateType for line in lines] == [
        *["urn:ctai:gate-verdict:v2"] * len(GATES),
        *[TEST_RESULT_TYPE] * len(GATES),
        *[PROVENANCE_TYPE] * 2,
        "urn:ctai:run:v1",
    ]


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        (TEST_RESULT_TYPE, lambda s: s["predicate"].pop("configuration")),
        (TEST_RESULT_TYPE, lambda s: s["predicate"].update(result="passed")),
        (TEST_RESULT_TYPE, lambda s: s["predicate"].update(skippedTests=[])),
        (TEST_RESULT_TYPE, lambda s: s["subject"][0].pop("digest")),
        (PROVENANCE_TYPE, lambda s: s["predicate"]["buildDefinition"].update(buildType="a dataset")),
        (PROVENANCE_TYPE, lambda s: s["predicate"]["runDetails"].pop("builder")),
    ],
)
def test_the_schema_refuses_what_the_specification_does(finished, kind, edit):
    statement = lines_of(RunDir(finished), kind)[0]
    edit(statement)
    with pytest.raises(ValidationError):
        Statement.model_validate(statement)


def test_the_messages_of_the_in_toto_project_take_the_statements(finished):
    """Parse with the classes that the in-toto project generates from its own definitions."""
    json_format = pytest.importorskip("google.protobuf.json_format", reason="protobuf is not installed")
    statement_pb = pytest.importorskip("in_toto_attestation.v1.statement_pb2", reason="in-toto-attestation is missing")
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2

    kinds = {TEST_RESULT_TYPE: test_result_pb2.TestResult, PROVENANCE_TYPE: provenance_pb2.Provenance}
    for line in lines_of(RunDir(finished)):
        json_format.ParseDict(line, statement_pb.Statement())  # an unknown field is an error
        if line["predicateType"] in kinds:
            json_format.ParseDict(line["predicate"], kinds[line["predicateType"]]())


def test_statements_hold_no_times_and_no_paths_of_the_machine(finished):
    for kind in (TEST_RESULT_TYPE, PROVENANCE_TYPE):
        text = json.dumps(lines_of(RunDir(finished), kind))
        assert str(finished.parent) not in text
        assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:", text)
        assert '"/' not in text


# -------------------------------------------------------------------------------------------------------- Test Result


def test_a_gate_has_a_test_result_over_the_artifacts_that_it_judged(finished):
    rundir = RunDir(finished)
    for gate, line in zip(GATES, lines_of(rundir, TEST_RESULT_TYPE), strict=True):
        verdict = read_record(rundir.verdict(gate), Verdict)
        assert {s["name"]: s["digest"]["sha256"] for s in line["subject"]} == verdict.artifacts
        predicate = line["predicate"]
        names = predicate["passedTests"] + predicate["warnedTests"] + predicate["failedTests"]
        assert set(names) >= set(gate.metric_names)
        assert predicate["failedTests"] == []
        configuration = {d["name"]: d["digest"]["sha256"] for d in predicate["configuration"]}
        for path in (rundir.verdict(gate), rundir.preregistration):
            assert configuration[rundir.relative(path)] == sha256_file(path)


def test_a_passed_gate_without_remarks_is_passed(finished):
    predicate = test_result_of(RunDir(finished), "pilot", relaxed_thresholds=())
    assert predicate["result"] == "PASSED"
    assert predicate["warnedTests"] == []


def test_a_relaxed_threshold_warns_by_the_name_of_its_test(finished):
    relaxed = ("qc.runaway = 0.2 (default 0.05)", "critic.confident_margin = 0.5 (default 1)")
    predicate = test_result_of(RunDir(finished), "pilot", relaxed_thresholds=relaxed)
    assert predicate["result"] == "WARNED"
    assert predicate["warnedTests"] == [
        "runaway_rate",
        "relaxed threshold: critic.confident_margin = 0.5 (default 1)",
    ]
    assert "runaway_rate" not in predicate["passedTests"]


def test_a_metric_that_does_not_apply_warns(finished):
    rundir = RunDir(finished)
    metrics = list(read_record(rundir.verdict(gate_named("pilot")), Verdict).metrics)
    metrics[0] = metrics[0].model_copy(update={"applicable": False})
    predicate = test_result_of(rundir, "pilot", metrics=tuple(metrics), relaxed_thresholds=())
    assert predicate["result"] == "WARNED"
    assert predicate["warnedTests"] == [metrics[0].name]


def test_a_failed_gate_names_the_failed_tests_and_leaves_out_those_that_did_not_run(finished):
    rundir = RunDir(finished)
    metrics = list(read_record(rundir.verdict(gate_named("pilot")), Verdict).metrics)
    metrics[0] = Metric(name=metrics[0].name, value=0.5, comparison="<", threshold=0.05)
    reasons = (
        metrics[0].failure(),
        f"the test of {metrics[1].name} failed",
        "another test failed",
        f"{metrics[2].name} was not tested",
    )
    update = {"outcome": "failed", "metrics": tuple(metrics), "reasons": reasons, "relaxed_thresholds": ()}
    predicate = test_result_of(rundir, "pilot", **update)
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == [metrics[0].name, metrics[1].name, "another test failed"]
    assert predicate["passedTests"] == [metric.name for metric in metrics[3:]]


def test_a_gate_of_which_not_all_tests_ran_has_failed_without_failed_tests(finished):
    rundir = RunDir(finished)
    names = [metric.name for metric in read_record(rundir.verdict(gate_named("pilot")), Verdict).metrics]
    reasons = (f"{names[0]} was not tested", "a test that asserts no metric was skipped")
    predicate = test_result_of(rundir, "pilot", outcome="incomplete", reasons=reasons, relaxed_thresholds=())
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == []
    assert predicate["passedTests"] == names[1:]


# --------------------------------------------------------------------------------------------------------- provenance


def test_the_dataset_has_provenance_down_to_weights_code_and_test_set(finished):
    rundir = RunDir(finished)
    line = lines_of(rundir, PROVENANCE_TYPE)[0]
    (subject,) = line["subject"]
    assert (subject["name"], subject["digest"]["sha256"]) == ("data/stage1_sft_data.jsonl", sha256_file(rundir.dataset))
    definition = line["predicate"]["buildDefinition"]
    verdict = read_record(rundir.verdict(gate_named("scale")), Verdict)
    dependencies = {d["name"]: d for d in definition["resolvedDependencies"]}
    weights = dependencies["someone/base"]
    assert weights["uri"] == "pkg:huggingface/someone/base@abc123"
    assert weights["digest"] == {"ctaiWeights": verdict.weights_digest}
    maker = read_record(rundir.merge_stage_dir / "manifest.json", StageManifest).made_by
    assert maker is not None
    code = dependencies[f"ctai {maker.loader_version}"]["digest"]
    assert code["ctaiCode"] == verdict.code_digest
    assert code.get("gitCommit") == (None if maker.git_dirty or len(maker.git_commit) != 40 else maker.git_commit)
    assert definition["internalParameters"] == {"device": maker.device, "cuda": maker.cuda}
    assert line["predicate"]["runDetails"]["builder"]["version"]["torch"] == maker.torch
    assert dependencies["data/heldout.jsonl"]["digest"]["sha256"] == sha256_file(rundir.heldout)
    assert definition["externalParameters"]["config"]["scale"] == verdict.config["scale"]
    byproducts = {d["name"] for d in line["predicate"]["runDetails"]["byproducts"]}
    assert {"data/qc_summary.json", "artifacts/shards/shard-000/dataset.jsonl"} <= byproducts


def test_the_adapter_has_provenance_down_to_its_dataset(finished):
    rundir = RunDir(finished)
    line = lines_of(rundir, PROVENANCE_TYPE)[1]
    names = {subject["name"]: subject["digest"]["sha256"] for subject in line["subject"]}
    assert names == {
        f"checkpoints/stage1_sft/{name}": sha256_file(rundir.adapter_dir / name)
        for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    definition = line["predicate"]["buildDefinition"]
    dependencies = {d["name"]: d["digest"] for d in definition["resolvedDependencies"]}
    assert dependencies["data/stage1_sft_data.jsonl"] == {"sha256": sha256_file(rundir.dataset)}
    manifest = read_record(rundir.adapter_dir / "training_manifest.json", TrainingManifest)
    assert definition["externalParameters"]["epochs"] == manifest.hyperparameters["epochs"]
    assert "optimizer" in definition["internalParameters"]
    assert line["predicate"]["runDetails"]["metadata"]["invocationId"] == manifest.run_id


def test_a_model_in_a_local_folder_is_named_without_the_folder(rundir):
    verdict = read_record(rundir.verdict(gate_named("scale")), Verdict)
    config = {**verdict.config, "model": {**verdict.config["model"], "name": "/home/somebody/weights/base-1b"}}
    path = rundir.verdict(gate_named("scale"))
    path.write_text(verdict.model_copy(update={"config": config}).model_dump_json())
    write_attestations(rundir)
    definition = lines_of(rundir, PROVENANCE_TYPE)[0]["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["config"]["model"]["name"] == "base-1b"


# ------------------------------------------------------------------------------------------------------- verification


def edited(rundir: RunDir, kind: str, number: int, before: str, after: str) -> None:
    """Edit one statement in the bundle, which stays canonical."""
    path = rundir.path(BUNDLE)
    lines = path.read_text().splitlines()
    (line,) = [line for line in lines if f'"predicateType":"{kind}"' in line][number : number + 1]
    assert before in line
    lines[lines.index(line)] = line.replace(before, after)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("kind", "number", "before", "after", "title"),
    [
        (TEST_RESULT_TYPE, 3, '"result":"', '"result":"X', "Test Result of gate pilot"),
        (PROVENANCE_TYPE, 0, "someone/base", "someone/else", "SLSA provenance of the dataset"),
        (PROVENANCE_TYPE, 1, '"epochs":', '"epoch":', "SLSA provenance of the adapter checkpoints/stage1_sft"),
    ],
)
def test_verification_names_the_statement_that_differs(rundir, kind, number, before, after, title):
    edited(rundir, kind, number, before, after)
    assert f"({title}): does not match" in first_difference(rundir)


def test_provenance_without_its_manifest_is_a_difference_also_if_no_statement_lists_the_file(rundir):
    manifest = rundir.merge_stage_dir / "manifest.json"
    manifest.unlink()
    path = rundir.path(BUNDLE)
    lines = path.read_text().splitlines()
    run = json.loads(lines[-1])
    run["subject"] = [subject for subject in run["subject"] if subject["name"] != rundir.relative(manifest)]
    path.write_bytes("\n".join(lines[:-1]).encode() + b"\n" + canonical_json(run) + b"\n")
    assert first_difference(rundir).startswith(f"{BUNDLE}: cannot be compared: cannot read")


def test_a_statement_that_is_left_out_is_missed(rundir):
    path: Path = rundir.path(BUNDLE)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if TEST_RESULT_TYPE not in line) + "\n")
    assert "statements, but" in first_difference(rundir)
