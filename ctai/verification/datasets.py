"""Gates 2b and 3 again: the pilot's ladder, every shard and their union.

A merge streams; this holds all records in memory, since it compares them with what is on the disk (some 8 kB each).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from ctai.config import GenerationSettings, RunConfig
from ctai.generate.dedup.decontamination import overlapping
from ctai.generate.merge import MergeRates, decisions, rejection_of_dropped
from ctai.generate.retry import retry_generation
from ctai.qc.summary import MinimumCount, QcInput, SummaryHeader, summarize
from ctai.records import (
    Example,
    HeldoutItem,
    ModelProvenance,
    PilotAttempt,
    PilotHistory,
    QcSummary,
    Rejection,
    StageManifest,
)
from ctai.rundir import RunDir, read_jsonl, read_record, sha256_file
from ctai.rundir.diff import differences
from ctai.verification.shard import RecomputedShard, ShardPlan, recompute_shard


class RecomputedPilot(NamedTuple):
    """The pilot that counts, its QC summary's name, its generation settings, and what differed in any attempt."""

    summary: QcSummary
    artifact: str
    generation: GenerationSettings
    differences: tuple[str, ...]


class RecomputedScale(NamedTuple):
    """The union's quality control, the shards that fail theirs, how many there are, and what differed."""

    summary: QcSummary
    failed: tuple[str, ...]
    shards: int
    differences: tuple[str, ...]


def recompute_pilot(
    rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem], provenance: ModelProvenance
) -> RecomputedPilot:
    """Every attempt of the pilot judged again, and the ladder between them.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    ladder = read_record(rundir.evidence / "pilot_ladder.json", PilotHistory)
    found: list[str] = []
    attempts: list[PilotAttempt] = []
    for number in range(max(1, min(len(ladder.attempts), config.pilot.retries + 1))):
        name = f"artifacts/pilot-retry-{number}" if number else "artifacts/pilot"
        plan = _plan(config, provenance, "pilot", 0, config.pilot.count)
        artifact = f"{name}/qc_summary.json"
        shard = recompute_shard(rundir.path(name), name, artifact, plan, heldout)
        found += shard.differences
        summary, used = shard.summary, config.generation
        attempts.append(
            PilotAttempt(
                folder=name,
                generation=used.model_dump(mode="json"),
                passed=summary.thresholds_passed,
                reasons=summary.failed_reasons,
            )
        )
        config = retry_generation(config, summary.failed_reasons, number + 1)
    found += differences(ladder, PilotHistory(attempts=tuple(attempts)), "evidence/pilot_ladder.json")
    return RecomputedPilot(summary, artifact, used, tuple(found))


def _plan(
    config: RunConfig, provenance: ModelProvenance, stage: Literal["pilot", "scale"], number: int, target: int
) -> ShardPlan:
    return ShardPlan(stage, number, target, config, provenance.weights_digest, bool(provenance.control_token_ids))


def recompute_scale(
    rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem], provenance: ModelProvenance
) -> RecomputedScale:
    """Every shard judged again, and the merge done again.

    Args:
        rundir: the run directory.
        config: with the generation settings of the pilot that passed.
        heldout: the frozen test set.
        provenance: of the base model.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    target = math.ceil(config.scale.count * config.scale.oversample / config.scale.shards)
    found: list[str] = []
    shards: list[RecomputedShard] = []
    for number in range(config.scale.shards):
        folder = rundir.shard_dir(number)
        plan = _plan(config, provenance, "scale", number, target)
        name = rundir.relative(folder)
        shards.append(recompute_shard(folder, name, f"{name}/qc_summary.json", plan, heldout))
        found += shards[-1].differences
    summary = _union(rundir, config, shards, heldout, found)
    failed = tuple(f"shard-{n:03d}" for n, shard in enumerate(shards) if not shard.summary.thresholds_passed)
    return RecomputedScale(summary, failed, len(shards), tuple(found))


def _union(
    rundir: RunDir,
    config: RunConfig,
    shards: Sequence[RecomputedShard],
    heldout: Sequence[HeldoutItem],
    found: list[str],
) -> QcSummary:
    """The union's quality control; what differs from the merged files goes to `found`."""
    jaccard = config.scale.near_duplicate_jaccard
    kept, rejected, repetitions = _recompute_merge(shards, heldout, jaccard)
    names = ("data/stage1_sft_data.jsonl", "data/dropped.jsonl", "data/qc_summary.json")
    paths = [rundir.path(name) for name in names]
    found += differences(read_jsonl(paths[0], Example), kept, names[0])
    found += differences(read_jsonl(paths[1], Rejection), rejected, names[1])
    stored = read_record(paths[2], QcSummary)
    manifest = read_record(rundir.path("artifacts", "merge", "manifest.json"), StageManifest)
    header = SummaryHeader(
        stage="merged",
        run_id=stored.run_id,
        inputs={**manifest.inputs, **{path.name: sha256_file(path) for path in paths[:2]}},
        artifact=names[2],
    )
    material = QcInput(
        kept,
        [r for shard in shards for r in shard.rejections] + rejected,
        [one for shard in shards for one in shard.rounds],
        overlapping(kept, heldout, jaccard),
    )
    wanted = MinimumCount("unique_examples", config.scale.count)
    summary = summarize(header, material, wanted, config.qc, repetitions.rates())
    found += differences(stored, summary, names[2])
    return summary


def _recompute_merge(
    shards: Sequence[RecomputedShard], heldout: Sequence[HeldoutItem], jaccard: float
) -> tuple[list[Example], list[Rejection], MergeRates]:
    """What the merge keeps, what it drops, and how much of each shard was there before."""
    kept: list[Example] = []
    rejected: list[Rejection] = []
    repetitions = MergeRates(len(shards))
    for decision in decisions([shard.examples for shard in shards], heldout, jaccard):
        repetitions.decide(decision)
        if decision.match is None:
            kept.append(decision.example)
        else:
            rejected.append(rejection_of_dropped(decision.example, decision.match))
    for place, shard in enumerate(shards):
        for rejection in shard.rejections:
            repetitions.reject(place, rejection)
        for one in shard.rounds:
            repetitions.generate(place, one)
    return kept, rejected, repetitions
