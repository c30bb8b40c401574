"""Verification of stages: keys against manifests, inputs against the run directory, artifacts against digests."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ctai.evaluate.arms import (
    ARM_CHECK_PROMPTS,
    REFERENCE,
    SFT,
    Arm,
    arm_check_inputs,
    base_arms,
    reference_arm,
    sft_arm,
)
from ctai.evaluate.attempts import attempt_paths
from ctai.generate.shard import DATASET, GENERATION, QC, REJECTIONS
from ctai.model.sources import adapter_digest
from ctai.prompts import CompletionStylePrompts
from ctai.records import EvaluationItem, ModelProvenance, StageManifest
from ctai.rundir import RunDir, digest_of, digest_path, read_jsonl, read_record, sha256_file
from ctai.rundir.diff import differences
from ctai.verification.instruments import KINDS
from ctai.verification.records import RunRecords


def stage_differences(rundir: RunDir, path: Path) -> Iterator[str]:
    """Yield where the manifest of a stage contradicts itself, its folder or its artifacts.

    Raises:
        CtaiError: the file is no manifest.
    """
    name, manifest = rundir.relative(path), read_record(path, StageManifest)
    if manifest.key != digest_of([manifest.stage, manifest.parameters, manifest.inputs]):
        yield f"{name}: its key does not match its parameters and inputs"
    marker = path.with_name("stage_key.txt")
    if not marker.is_file() or marker.read_bytes() != manifest.key.encode() + b"\n":
        yield f"{rundir.relative(marker)}: is not the key of the manifest beside it"
    if manifest.made_by is None:
        yield f"{name}: does not say who made it"
    if manifest.outcome != "complete":
        yield f"{name}: its stage is {manifest.outcome!r}"
    yield from artifact_differences(rundir, manifest.artifacts, f"stage {manifest.stage} made it")


def artifact_differences(rundir: RunDir, artifacts: Mapping[str, str], origin: str) -> Iterator[str]:
    """Yield the artifacts that are missing, changed or outside the run directory.

    Args:
        rundir: the run directory.
        artifacts: SHA-256 by path, relative to the run directory.
        origin: clause that says where the digests come from, such as `gate pilot judged it`.
    """
    root = rundir.root.resolve()
    for name, digest in artifacts.items():
        path = rundir.path(name)
        try:
            is_inside = path.resolve().is_relative_to(root)
        except (OSError, RuntimeError, ValueError):  # too long, a loop of links, or a NUL character
            yield f"{name!r}: names no file, but {origin}"
            continue
        if not is_inside:
            yield f"{name}: lies outside the run directory, but {origin}"
        elif not path.exists():
            yield f"{name}: missing; {origin}"
        elif digest_path(path) != digest:
            yield f"{name}: changed since {origin}"


def input_differences(records: RunRecords, gate: str) -> Iterator[str]:
    """Yield where the inputs of the stages of a gate differ from the run directory.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    for folder, expected in _INPUTS[gate](records):
        name = f"{records.rundir.relative(folder)}/manifest.json"
        manifest = read_record(folder / "manifest.json", StageManifest)
        yield from differences(manifest.inputs, expected, f"{name} inputs")


Inputs = Iterator[tuple[Path, dict[str, str]]]


def _instruments_inputs(records: RunRecords) -> Inputs:
    identity = records.provenance.identity()
    yield records.rundir.heldout_stage_dir, {}
    for instrument in ("scorers", "detectors"):
        yield records.rundir.instrument_dir(instrument), {}
    for kind in KINDS:
        yield records.rundir.instrument_dir(f"critic_{kind}"), identity


def _generation_inputs(records: RunRecords) -> dict[str, str]:
    return {**records.provenance.identity(), "heldout": digest_of(records.heldout)}


def _pilot_inputs(records: RunRecords) -> Inputs:
    for folder in sorted(records.rundir.pilot_dir.parent.glob("pilot*")):
        yield from _shard_inputs(records, folder)


def _shard_inputs(records: RunRecords, folder: Path) -> Inputs:
    generation = _generation_inputs(records)
    yield folder, generation
    yield (
        folder / QC,
        {**generation, **{name: sha256_file(folder / name) for name in (DATASET, REJECTIONS, GENERATION)}},
    )


def _scale_inputs(records: RunRecords) -> Inputs:
    folders = [records.rundir.shard_dir(number) for number in range(records.config("scale").scale.shards)]
    for folder in folders:
        yield from _shard_inputs(records, folder)
    manifests = {
        records.rundir.relative(f): digest_of(read_record(f / "manifest.json", StageManifest)) for f in folders
    }
    yield records.rundir.merge_stage_dir, {**manifests, "heldout": digest_of(records.heldout)}


def _headroom_inputs(records: RunRecords) -> Inputs:
    for arm in base_arms(records.config("headroom")):
        yield records.rundir.base_arm_dir(arm.name), _arm_inputs(records, arm, "none")
    if records.reference_arm:
        identity = read_record(records.rundir.reference_model, ModelProvenance).identity()
        inputs = _arm_inputs(records, reference_arm(records.config("headroom")), "none")
        yield records.rundir.base_arm_dir(REFERENCE), {**inputs, **identity}


def _arm_inputs(records: RunRecords, arm: Arm, adapter: str) -> dict[str, str]:
    prompts = [arm.prompt(item.instruction) for item in records.heldout]
    inputs = {"adapter": adapter, "items": digest_of(records.heldout), "prompts": digest_of(prompts)}
    return {**records.provenance.identity(), **inputs}


def _recorded_input(folder: Path, name: str) -> str:
    """Return an input of a stage as its manifest has it; empty if it has none."""
    return read_record(folder / "manifest.json", StageManifest).inputs.get(name, "")


def _arm_check_inputs(records: RunRecords, adapter: str) -> dict[str, str]:
    provenance = records.provenance.model_copy(update={"adapter_digest": adapter})
    prompts = [CompletionStylePrompts.zero_shot(item.instruction) for item in records.heldout[:ARM_CHECK_PROMPTS]]
    return arm_check_inputs(provenance, prompts)


def _evaluation_inputs(records: RunRecords) -> Inputs:
    config = records.config("evaluation")
    names = [arm.name for arm in base_arms(config)]
    base = {name: read_jsonl(records.rundir.base_answers(name), EvaluationItem) for name in names}
    for attempt in range(config.evaluation.retries + 1):
        paths = attempt_paths(records.rundir, attempt)
        digest = adapter_digest(paths.adapter)
        training_inputs = {"dataset": sha256_file(records.rundir.dataset)}
        if config.control_data:  # a file outside the run directory, whose digest is taken from the record
            training_inputs["control_data"] = _recorded_input(paths.adapter, "control_data")
        yield paths.adapter, {**records.provenance.identity(), **training_inputs}
        yield paths.results / "arms" / SFT, _arm_inputs(records, sft_arm(config), digest)
        yield records.rundir.arm_check(paths.results).parent, _arm_check_inputs(records, digest)
        yield paths.evidence, {"adapter": digest, "base_answers": digest_of(base)}
        if paths == records.evaluation.paths:
            return


_INPUTS = {
    "contamination": lambda records: iter(()),  # its input is the model's files, which are not in the run directory
    "instruments": _instruments_inputs,
    "pilot": _pilot_inputs,
    "scale": _scale_inputs,
    "headroom": _headroom_inputs,
    "evaluation": _evaluation_inputs,
}
