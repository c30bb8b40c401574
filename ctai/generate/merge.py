"""Merging shards: one dataset without duplicates and without the held-out set, and quality control over the union.

Owns what may be merged with what, and that rates of the union are over everything that the shards generated. The
shards' own files stay as they are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate.dedup import Dropped, deduplicate
from ctai.generate.overlap import overlapping
from ctai.generate.shard import DATASET, GENERATION, REJECTIONS, rejection_of
from ctai.provenance import Progress, code_digest
from ctai.qc import Material, Wanted, summarize
from ctai.records import (
    Example,
    GenerationRound,
    HeldoutItem,
    QcSummary,
    Rate,
    Rejection,
    StageManifest,
)
from ctai.rundir import (
    RunDir,
    Stage,
    digest_of,
    digest_path,
    read_jsonl,
    read_record,
    sha256_file,
    write_json,
    write_jsonl,
)
from ctai.statistics import rate

# What shards must agree in to belong to one dataset; seeds and shard numbers differ by their nature.
_COMMON = ("generation", "critic", "batch_size", "code")


class Merged(NamedTuple):
    """The union's quality control, its file, and whether the union was already there."""

    summary: QcSummary
    qc_path: Path
    reused: bool


class ShardFiles(NamedTuple):
    """What one shard left on the disk."""

    examples: list[Example]
    rejections: list[Rejection]
    rounds: list[GenerationRound]


def merge_shards(
    config: RunConfig,
    rundir: RunDir,
    folders: Sequence[Path],
    heldout: Sequence[HeldoutItem],
    run_id: str,
    progress: Progress,
) -> Merged:
    """Merge finished shards into the training data, or say that it is there.

    All unique examples are kept, also beyond the configured count.

    Args:
        config: the run's configuration.
        rundir: the run directory.
        folders: the shards' folders; the first occurrence of an instruction is in the first of them.
        heldout: the frozen test set.
        run_id: the run that the summary names.
        progress: told of each shard.

    Raises:
        CtaiError: a shard is not finished, was changed, or does not belong to the same dataset.
    """
    manifests = [_checked_manifest(rundir, folder) for folder in folders]
    _check_common(folders, manifests, digest_of(list(heldout)))
    work = _stage(config, rundir, folders, manifests, heldout)
    paths = [rundir.dataset, rundir.dataset.with_name("dropped.jsonl"), rundir.dataset.with_name("qc_summary.json")]
    if work.complete() is not None:
        return Merged(read_record(paths[2], QcSummary), paths[2], reused=True)
    work.begin()
    shards = _read(folders, progress)
    summary = _write(work, config, shards, heldout, run_id, paths)
    work.finish(paths, run_id)
    return Merged(summary, paths[2], reused=False)


def _checked_manifest(rundir: RunDir, folder: Path) -> StageManifest:
    """The manifest of a shard whose files are what it made."""
    path = folder / "manifest.json"
    if not path.exists():
        raise CtaiError(f"shard {folder.name} is not finished: it has no manifest.json; make it before merging")
    manifest = read_record(path, StageManifest)
    for name, digest in manifest.artifacts.items():
        file = rundir.path(name)
        if not file.exists() or digest_path(file) != digest:
            raise CtaiError(f"{file} is not what shard {folder.name} made: restore it, or make the shard again")
    made = {rundir.path(name) for name in manifest.artifacts}
    if missing := [name for name in (DATASET, REJECTIONS, GENERATION) if folder / name not in made]:
        raise CtaiError(f"the manifest of shard {folder.name} does not vouch for {', '.join(missing)}")
    return manifest


def _check_common(folders: Sequence[Path], manifests: Sequence[StageManifest], heldout: str) -> None:
    if not folders:
        raise CtaiError("there are no shards to merge")
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        if manifest.inputs.get("heldout") != heldout:
            raise CtaiError(f"shard {folder.name} was made against another held-out set; make it again")
        if different := _different(first.inputs, manifest.inputs):
            raise CtaiError(f"shards {folders[0].name} and {folder.name} were made by models of different {different}")
        if [manifest.parameters.get(name) for name in _COMMON] != [first.parameters.get(name) for name in _COMMON]:
            raise CtaiError(f"shards {folders[0].name} and {folder.name} were made with different settings or code")
    numbers = [(manifest.parameters.get("seed"), manifest.parameters.get("shard")) for manifest in manifests]
    if len(set(numbers)) < len(numbers):
        raise CtaiError("two of the shards have the same seed and number: one would only repeat the other")


def _different(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The names of the inputs in which two shards differ; beside the held-out set all of them say which model it was."""
    return ", ".join(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def _stage(
    config: RunConfig,
    rundir: RunDir,
    folders: Sequence[Path],
    manifests: Sequence[StageManifest],
    heldout: Sequence[HeldoutItem],
) -> Stage:
    parameters = {
        "count": config.scale.count,
        "near_duplicate_jaccard": config.scale.near_duplicate_jaccard,
        "qc": config.qc,
        "shards": [rundir.relative(folder) for folder in folders],
        "code": code_digest(),
    }
    inputs = {rundir.relative(folder): digest_of(m) for folder, m in zip(folders, manifests, strict=True)}
    inputs["heldout"] = digest_of(list(heldout))
    return Stage(rundir, "merge", rundir.path("artifacts", "merge"), parameters, inputs)


def _read(folders: Sequence[Path], progress: Progress) -> list[ShardFiles]:
    progress.start("merge", len(folders))
    shards = []
    for folder in folders:
        examples = read_jsonl(folder / DATASET, Example)
        rejections = read_jsonl(folder / REJECTIONS, Rejection)
        shards.append(ShardFiles(examples, rejections, read_jsonl(folder / GENERATION, GenerationRound)))
        progress.advance(1, folder.name)
    progress.finish()
    return shards


def _write(
    work: Stage,
    config: RunConfig,
    shards: Sequence[ShardFiles],
    heldout: Sequence[HeldoutItem],
    run_id: str,
    paths: Sequence[Path],
) -> QcSummary:
    """Write dataset, dropped examples and the summary of the union."""
    union = [example for shard in shards for example in shard.examples]
    kept, dropped = deduplicate(union, heldout, config.scale.near_duplicate_jaccard)
    rejected = [rejection_of_dropped(one) for one in dropped]
    write_jsonl(paths[0], kept)
    write_jsonl(paths[1], rejected)
    material = Material(
        kept,
        [rejection for shard in shards for rejection in shard.rejections] + rejected,
        [one for shard in shards for one in shard.rounds],
        overlapping(kept, heldout, config.scale.near_duplicate_jaccard),
    )
    summary = summarize(
        "merged",
        material,
        wanted=Wanted("unique_examples", config.scale.count),
        thresholds=config.qc,
        inputs={**work.inputs, **{path.name: sha256_file(path) for path in paths[:2]}},
        run_id=run_id,
        artifact=work.rundir.relative(paths[2]),
        more_rates=dropped_rates(shards, dropped),
    )
    write_json(paths[2], summary)
    return summary


def dropped_rates(shards: Sequence[ShardFiles], dropped: Sequence[Dropped[Example]]) -> dict[str, Rate]:
    """How much of each shard, and of all, was dropped because it was there before; reported, not judged."""
    # by position: shards of different seeds may have the same number
    position = {id(example): at for at, shard in enumerate(shards) for example in shard.examples}
    lost = [position[id(one.record)] for one in dropped if not one.reason.startswith("heldout")]
    sizes = [len(shard.examples) for shard in shards]
    rates = {f"dropped_of_shard_{at:03d}": rate(lost.count(at), size) for at, size in enumerate(sizes)}
    return {"dropped_of_union": rate(len(lost), sum(sizes)), **rates}


def rejection_of_dropped(dropped: Dropped[Example]) -> Rejection:
    """The record of an example that the merge left out."""
    phase: Literal["decontaminate", "dedup"] = "decontaminate" if dropped.reason.startswith("heldout") else "dedup"
    return rejection_of(dropped.record, phase, dropped.reason, dropped.repeated_instruction)
