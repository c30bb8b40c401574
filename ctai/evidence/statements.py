"""Statements that the tools of others read: in-toto Test Results of the gates, SLSA provenance of dataset and adapter.

Owns two predicates, by their published specifications: Test Result v0.1
(https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md) and SLSA Provenance v1
(https://slsa.dev/spec/v1.0/provenance). They follow from the files of a run directory and hold no times, host names or
absolute paths. Does not write or compare them (`ctai.evidence.attestation`).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from ctai.config import TrainingSettings
from ctai.evidence.verdicts import verdict_path
from ctai.records import ContaminationReport, MadeBy, Metric, StageManifest, TrainingManifest, Verdict
from ctai.registry import METRICS, GateSpec
from ctai.rundir import RunDir, read_record

TEST_RESULT_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"
DATASET_BUILD_TYPE = "urn:ctai:build:self-generated-dataset:v1"
ADAPTER_BUILD_TYPE = "urn:ctai:build:lora-adapter:v1"
BUILDER = "urn:ctai:builder:gates:v1"
# Digests over several files are no SHA-256 of bytes that a tool could hash, so they have separate names.
CODE_DIGEST = "ctaiCode"
WEIGHTS_DIGEST = "ctaiWeights"

_COMMIT = re.compile("[0-9a-f]{40}")

ResourceDescriptor = dict[str, Any]


class Statement(NamedTuple):
    """Content of an in-toto statement.

    Attributes:
        title: name for messages, such as `Test Result of gate pilot`.
        subjects: SHA-256 of each subject, by its path in the run directory.
        predicate_type: URI of the type of the predicate.
        predicate: the predicate, as plain JSON types.
    """

    title: str
    subjects: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, Any]


class RunFiles(NamedTuple):
    """A run directory, with the SHA-256 of its evidence files by path."""

    rundir: RunDir
    digests: Mapping[str, str]

    def describe(self, *names: str) -> list[ResourceDescriptor]:
        """Return the resource descriptors of those of the named files that exist."""
        return [_descriptor(name, self.digests[name]) for name in names if name in self.digests]

    def matching(self, pattern: str) -> list[str]:
        """Return the names of the evidence files with as many parts as a pattern, and that match it."""
        depth = pattern.count("/")
        return [name for name in self.digests if name.count("/") == depth and PurePath(name).match(pattern)]


# -------------------------------------------------------------------------------------------------------- Test Result


def gate_test_result(files: RunFiles, gate: GateSpec, verdict: Verdict) -> Statement:
    """Return the Test Result of a gate over the artifacts that it judged.

    `WARNED` stands for a gate that passed with relaxed thresholds or with metrics that do not apply, which are the warned
    tests; `FAILED` also for a gate of which not all tests ran. A test that did not run is in none of the lists.
    """
    warned = [metric.name for metric in verdict.metrics if _is_warned(metric, verdict)]
    failed = [metric.name for metric in verdict.metrics if _is_failed(metric, verdict)]
    ran = [metric.name for metric in verdict.metrics if f"{metric.name} was not tested" not in verdict.reasons]
    warnings = [*(name for name in warned if name in ran and name not in failed), *_other_relaxed(gate, verdict)]
    result = "FAILED" if not verdict.passed else "WARNED" if warnings else "PASSED"
    preregistration = files.rundir.relative(files.rundir.preregistration)
    predicate = {
        "result": result,
        "configuration": files.describe(verdict_path(files.rundir, gate), preregistration),
        "passedTests": [name for name in ran if name not in failed and name not in warned],
        "warnedTests": warnings,
        "failedTests": [*failed, *_other_failures(verdict)],
    }
    return Statement(f"Test Result of gate {gate.name}", verdict.artifacts, TEST_RESULT_TYPE, predicate)


def _is_warned(metric: Metric, verdict: Verdict) -> bool:
    spec = METRICS.get(metric.name)  # a verdict from outside may name any metric
    return not metric.applicable or (spec is not None and spec.setting in _relaxed_settings(verdict))


def _is_failed(metric: Metric, verdict: Verdict) -> bool:
    return metric.missed or f"the test of {metric.name} failed" in verdict.reasons


def _relaxed_settings(verdict: Verdict) -> dict[str, str]:
    """Return the relaxed thresholds of a verdict by their settings: `qc.runaway` -> `qc.runaway = 0.2 (default 0.05)`."""
    return {text.split(" = ")[0]: text for text in verdict.relaxed_thresholds}


def _other_relaxed(gate: GateSpec, verdict: Verdict) -> list[str]:
    """Return the relaxed thresholds that are not those of a metric of the gate, which a consumer should see as well."""
    own = {metric.setting for metric in gate.metrics}
    return [f"relaxed threshold: {text}" for key, text in _relaxed_settings(verdict).items() if key not in own]


def _other_failures(verdict: Verdict) -> list[str]:
    """Return the reasons against a gate that no metric states, such as an error of another test."""
    if verdict.outcome == "incomplete":  # its reasons are tests that did not run
        return []
    stated = {metric.failure() for metric in verdict.metrics}
    for metric in verdict.metrics:
        stated |= {f"the test of {metric.name} failed", f"{metric.name} was not tested"}
    return [reason for reason in verdict.reasons if reason not in stated]


# --------------------------------------------------------------------------------------------------- SLSA provenance


def provenance_statements(files: RunFiles, verdicts: Mapping[str, Verdict]) -> Iterator[Statement]:
    """Yield the provenance of the merged dataset and of every trained adapter, as far as the run has made them.

    Args:
        files: the run directory.
        verdicts: verdicts by gate; without that of gate scale there is no dataset yet.

    Raises:
        CtaiError: a manifest cannot be read.
    """
    scale = verdicts.get("scale")
    if scale is None or files.rundir.relative(files.rundir.dataset) not in files.digests:
        return
    yield _dataset_provenance(files, scale)
    for name in files.matching("checkpoints/*/training_manifest.json"):
        yield _adapter_provenance(files, name, scale)


def _dataset_provenance(files: RunFiles, verdict: Verdict) -> Statement:
    rundir = files.rundir
    dataset = rundir.relative(rundir.dataset)
    manifest = read_record(rundir.merge_stage_dir / "manifest.json", StageManifest)
    definition = {
        "buildType": DATASET_BUILD_TYPE,
        "externalParameters": {"config": _without_folders(verdict.config)},
        "internalParameters": _platform(manifest.made_by),
        "resolvedDependencies": [
            _base_model(files.rundir, verdict.weights_digest),
            _code(files.rundir, verdict, manifest.made_by),
            *files.describe(rundir.relative(rundir.heldout), rundir.relative(rundir.preregistration)),
        ],
    }
    shards = files.matching("artifacts/shards/*/dataset.jsonl")
    byproducts = files.describe(rundir.relative(rundir.dataset_qc), rundir.relative(rundir.removed), *shards)
    predicate = {"buildDefinition": definition, "runDetails": _run_details(files.rundir, manifest, byproducts)}
    return Statement("SLSA provenance of the dataset", {dataset: files.digests[dataset]}, PROVENANCE_TYPE, predicate)


def _adapter_provenance(files: RunFiles, name: str, verdict: Verdict) -> Statement:
    rundir, folder = files.rundir, name.rpartition("/")[0]
    manifest = read_record(rundir.path(name), TrainingManifest)
    requested = {*TrainingSettings.model_fields, "control", "seed"}
    parameters = _without_folders(manifest.hyperparameters)
    dependencies = [
        _base_model(rundir, manifest.base_weights_digest),
        _code(rundir, verdict, manifest.made_by),
        _descriptor(manifest.dataset, manifest.dataset_digest),
        *files.describe(manifest.qc_summary),
    ]
    stage = f"{folder}/manifest.json"
    inputs = read_record(rundir.path(stage), StageManifest).inputs if stage in files.digests else {}
    if "control_data" in inputs:
        dependencies.append(_descriptor("control_data", inputs["control_data"]))
    resolved = {key: value for key, value in parameters.items() if key not in requested}
    definition = {
        "buildType": ADAPTER_BUILD_TYPE,
        "externalParameters": {key: value for key, value in parameters.items() if key in requested},
        "internalParameters": {**resolved, **_platform(manifest.made_by)},
        "resolvedDependencies": dependencies,
    }
    byproducts = files.describe(name, f"{folder}/loss.jsonl")
    predicate = {
        "buildDefinition": definition,
        "runDetails": _run_details(rundir, manifest, byproducts),
    }
    subjects = {path: files.digests[path] for path in files.matching(f"{folder}/adapter_*")}
    return Statement(f"SLSA provenance of the adapter {folder}", subjects, PROVENANCE_TYPE, predicate)


def _run_details(
    rundir: RunDir, manifest: StageManifest | TrainingManifest, byproducts: list[ResourceDescriptor]
) -> dict[str, Any]:
    maker = manifest.made_by
    versions = {"python": maker.python, "torch": maker.torch, "transformers": maker.transformers} if maker else {}
    return {
        "builder": {"id": BUILDER, "version": {"ctai": _loader_version(rundir, maker), **versions}},
        "metadata": {"invocationId": manifest.run_id},
        "byproducts": byproducts,
    }


def _platform(maker: MadeBy | None) -> dict[str, Any]:
    return {"device": maker.device, "cuda": maker.cuda} if maker is not None else {}


def _base_model(rundir: RunDir, weights_digest: str) -> ResourceDescriptor:
    """Return the descriptor of the base weights, by package URL where they are of the hub."""
    provenance = read_record(rundir.model_check, ContaminationReport).provenance
    weights: ResourceDescriptor = {"name": "base model", "digest": {WEIGHTS_DIGEST: weights_digest}}
    if provenance is not None:
        weights["name"] = PurePath(provenance.model_id).name if _is_path(provenance.model_id) else provenance.model_id
        if provenance.revision is not None:
            weights["uri"] = f"pkg:huggingface/{provenance.model_id}@{provenance.revision}"
    return weights


def _code(rundir: RunDir, verdict: Verdict, maker: MadeBy | None) -> ResourceDescriptor:
    """Return the descriptor of ctai's code, by its commit where that holds exactly this code."""
    digest = {CODE_DIGEST: maker.code_digest if maker is not None else verdict.code_digest}
    if maker is not None and not maker.git_dirty and _COMMIT.fullmatch(maker.git_commit):
        digest["gitCommit"] = maker.git_commit
    return {"name": f"ctai {_loader_version(rundir, maker)}", "digest": digest}


def _loader_version(rundir: RunDir, maker: MadeBy | None) -> str:
    """Return version and commit of ctai, as recorded by the maker, or else by the first gate."""
    if maker is not None:
        return maker.loader_version
    provenance = read_record(rundir.model_check, ContaminationReport).provenance
    return provenance.loader_version if provenance is not None else "unknown"


def _descriptor(name: str, sha256: str) -> ResourceDescriptor:
    return {"name": name, "digest": {"sha256": sha256}}


def _without_folders(value: Any) -> Any:
    """Replace absolute paths by file names: a statement leaves the machine, and digests say which file was meant."""
    if isinstance(value, Mapping):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(inner) for inner in value]
    return PurePath(value).name if isinstance(value, str) and _is_path(value) else value


def _is_path(text: str) -> bool:
    return PurePath(text).is_absolute()
