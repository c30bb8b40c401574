"""Stages again: the key of each follows from what its manifest says, and its inputs are what the run directory holds."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ctai.evaluate.arms import BASE, SFT, Arm, base_arms, sft_arm
from ctai.evaluate.attempts import attempt_paths
from ctai.model.sources import adapter_digest
from ctai.records import EvaluationItem, StageManifest
from ctai.rundir import RunDir, digest_of, digest_path, read_jsonl, read_record, sha256_file
from ctai.rundir.diff import differences
from ctai.verification.instruments import KINDS
from ctai.verification.records import RunRecords


def stage_differences(rundir: RunDir, path: Path) -> Iterator[str]:
    """Where a stage's manifest contradicts itself, the stage's folder or the artifacts.

    Raises:
        CtaiError: it is no manifest.
    """
    name, manifest = rundir.relative(path), read_record(path, StageManifest)
    if manifest.key != digest_of([manifest.stage, manifest.parameters, manifest.inputs]):
        yield f"{name}: its key does not follow from its parameters and inputs"
    marker = path.with_name("stage_key.txt")
    if not marker.is_file() or marker.read_bytes() != manifest.key.encode() + b"\n":
        yield f"{rundir.relative(marker)}: is not the key of the manifest beside it"
    if manifest.outcome != "complete":
        yield f"{name}: its stage is {manifest.outcome!r}"
    yield from changed(rundir, manifest.artifacts, f"stage {manifest.stage} made it")


def changed(rundir: RunDir, artifacts: Mapping[str, str], why: str) -> Iterator[str]:
    """The artifacts that are missing or changed; `why` ends the sentence."""
    root = rundir.root.resolve()
    for name, digest in artifacts.items():
        path = rundir.path(name)
        if not path.resolve().is_relative_to(root):
            yield f"{name}: lies outside the run directory, but {why}"
        elif not path.exists():
            yield f"{name}: missing; {why}"
        elif digest_path(path) != digest:
            yield f"{name}: changed since {why}"


def input_differences(raw: RunRecords, gate: str) -> Iterator[str]:
    """Where the stages of a gate were made from something else than what the run directory holds.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    for folder, expected in _INPUTS[gate](raw):
        name = f"{raw.rundir.relative(folder)}/manifest.json"
        manifest = read_record(folder / "manifest.json", StageManifest)
        yield from differences(manifest.inputs, expected, f"{name} inputs")


Inputs = Iterator[tuple[Path, dict[str, str]]]


def _of_instruments(raw: RunRecords) -> Inputs:
    identity = raw.provenance.identity()
    yield raw.rundir.path("artifacts", "heldout"), {}
    for instrument in ("scorers", "detectors"):
        yield raw.rundir.path("evidence", "instruments", instrument), {}
    for kind in KINDS:
        yield raw.rundir.path("evidence", "instruments", f"critic_{kind}"), identity


def _generated_from(raw: RunRecords) -> dict[str, str]:
    return {**raw.provenance.identity(), "heldout": digest_of(raw.heldout)}


def _of_pilot(raw: RunRecords) -> Inputs:
    for folder in sorted(raw.rundir.path("artifacts").glob("pilot*")):
        yield folder, _generated_from(raw)


def _of_scale(raw: RunRecords) -> Inputs:
    folders = [raw.rundir.shard_dir(number) for number in range(raw.config("scale").scale.shards)]
    yield from ((folder, _generated_from(raw)) for folder in folders)
    manifests = {raw.rundir.relative(f): digest_of(read_record(f / "manifest.json", StageManifest)) for f in folders}
    yield raw.rundir.path("artifacts", "merge"), {**manifests, "heldout": digest_of(raw.heldout)}


def _of_headroom(raw: RunRecords) -> Inputs:
    for arm in base_arms(raw.config("headroom")):
        yield raw.rundir.path("results", "headroom", arm.name), _arm_inputs(raw, arm, "none")


def _arm_inputs(raw: RunRecords, arm: Arm, adapter: str) -> dict[str, str]:
    prompts = [arm.prompt(item.instruction) for item in raw.heldout]
    asked = {"adapter": adapter, "items": digest_of(raw.heldout), "prompts": digest_of(prompts)}
    return {**raw.provenance.identity(), **asked}


def _of_evaluation(raw: RunRecords) -> Inputs:
    config = raw.config("evaluation")
    base = read_jsonl(raw.rundir.path("results", "headroom", BASE, "items.jsonl"), EvaluationItem)
    for attempt in range(config.evaluation.retries + 1):
        paths = attempt_paths(raw.rundir, attempt)
        digest = adapter_digest(paths.adapter)
        learned_from = {
            "dataset": sha256_file(raw.rundir.dataset),
            "qc_summary": sha256_file(raw.rundir.path("data", "qc_summary.json")),
            "scale_verdict": digest_of(raw.verdict("scale")),
        }
        yield paths.adapter, {**raw.provenance.identity(), **learned_from}
        yield paths.results / "arms" / SFT, _arm_inputs(raw, sft_arm(config), digest)
        yield paths.evidence, {"adapter": digest, "base_answers": digest_of(base)}
        if paths == raw.evaluation.paths:
            return


_INPUTS = {
    "contamination": lambda raw: iter(()),  # its input is the model's files, which are not in the run directory
    "instruments": _of_instruments,
    "pilot": _of_pilot,
    "scale": _of_scale,
    "headroom": _of_headroom,
    "evaluation": _of_evaluation,
}
