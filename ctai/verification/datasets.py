"""Recomputation of gates pilot and scale: every pilot attempt with the retries between them, every shard, and the merge.

The merge of a run streams; this one holds all records in memory (about 8 kB each), to compare them with those on disk.
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
from ctai.verification.quality import summary_differences
from ctai.verification.shard import RecomputedShard, ShardPlan, recompute_shard


class RecomputedPilot(NamedTuple):
    """Recomputed gate pilot.

    Attributes:
        summary: recomputed QC summary of the last attempt.
        artifact: path of the stored summary, relative to the run directory.
        generation: generation settings of the last attempt.
        differences: differences in any attempt.
    """

    summary: QcSummary
    artifact: str
    generation: GenerationSettings
    differences: tuple[str, ...]


class RecomputedScale(NamedTuple):
    """Recomputed gate scale.

    Attributes:
        summary: recomputed QC summary of the merged dataset.
        failed: names of the shards that miss a threshold.
        shards: number of shards.
        differences: differences in any shard or in the merged dataset.
    """

    summary: QcSummary
    failed: tuple[str, ...]
    shards: int
    differences: tuple[str, ...]


def recompute_pilot(
    rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem], provenance: ModelProvenance
) -> RecomputedPilot:
    """Recompute every attempt of the pilot, and the settings of each retry.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    history = read_record(rundir.pilot_history, PilotHistory)
    problems: list[str] = []
    attempts: list[PilotAttempt] = []
    for number in range(max(1, min(len(history.attempts), config.pilot.retries + 1))):
        name = rundir.relative(rundir.pilot_dir_of(number))
        plan = _plan(config, provenance, "pilot", 0, config.pilot.count)
        artifact = f"{name}/qc_summary.json"
        shard = recompute_shard(rundir.path(name), name, artifact, plan, heldout)
        problems += shard.differences
        summary, settings = shard.summary, config.generation
        attempts.append(
            PilotAttempt(
                folder=name,
                generation=settings.model_dump(mode="json"),
                passed=summary.thresholds_passed,
                reasons=summary.failed_reasons,
            )
        )
        config = retry_generation(config, summary.failed_reasons, number + 1)
    problems += differences(history, PilotHistory(attempts=tuple(attempts)), rundir.relative(rundir.pilot_history))
    return RecomputedPilot(summary, artifact, settings, tuple(problems))


def _plan(
    config: RunConfig, provenance: ModelProvenance, stage: Literal["pilot", "scale"], number: int, target: int
) -> ShardPlan:
    return ShardPlan(stage, number, target, config, provenance.weights_digest, bool(provenance.control_token_ids))


def recompute_scale(
    rundir: RunDir, config: RunConfig, heldout: Sequence[HeldoutItem], provenance: ModelProvenance
) -> RecomputedScale:
    """Recompute every shard, and the merge of them.

    Args:
        rundir: the run directory.
        config: configuration with the generation settings of the passed pilot.
        heldout: the frozen test set.
        provenance: provenance of the base model.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    target = math.ceil(config.scale.count * config.scale.oversample / config.scale.shards)
    problems: list[str] = []
    shards: list[RecomputedShard] = []
    for number in range(config.scale.shards):
        folder = rundir.shard_dir(number)
        plan = _plan(config, provenance, "scale", number, target)
        name = rundir.relative(folder)
        shards.append(recompute_shard(folder, name, f"{name}/qc_summary.json", plan, heldout))
        problems += shards[-1].differences
    summary = _recompute_merged(rundir, config, shards, heldout, problems)
    failed = tuple(f"shard-{n:03d}" for n, shard in enumerate(shards) if not shard.summary.thresholds_passed)
    return RecomputedScale(summary, failed, len(shards), tuple(problems))


def _recompute_merged(
    rundir: RunDir,
    config: RunConfig,
    shards: Sequence[RecomputedShard],
    heldout: Sequence[HeldoutItem],
    problems: list[str],
) -> QcSummary:
    """Recompute the merged dataset and its QC summary; differences from the stored files are appended to `problems`."""
    jaccard = config.scale.near_duplicate_jaccard
    examples, dropped, rates = _recompute_merge(shards, heldout, jaccard)
    paths = [rundir.dataset, rundir.removed, rundir.dataset_qc]
    names = [rundir.relative(path) for path in paths]
    problems += differences(read_jsonl(paths[0], Example), examples, names[0])
    problems += differences(read_jsonl(paths[1], Rejection), dropped, names[1])
    stored = read_record(paths[2], QcSummary)
    manifest = read_record(rundir.merge_stage_dir / "manifest.json", StageManifest)
    header = SummaryHeader(
        stage="merged",
        run_id=stored.run_id,
        inputs={**manifest.inputs, **{path.name: sha256_file(path) for path in paths[:2]}},
        artifact=names[2],
        made_by=manifest.made_by,
    )
    qc_input = QcInput(
        examples,
        [rejection for shard in shards for rejection in shard.rejections] + dropped,
        [generation_round for shard in shards for generation_round in shard.rounds],
        overlapping(examples, heldout, jaccard),
    )
    minimum = MinimumCount("unique_examples", config.scale.count)
    summary = summarize(
        header, qc_input, minimum, config.qc, rates.rates(), filters=config.generation.filter_with_critic
    )
    problems += summary_differences(stored, summary, names[2])
    return summary


def _recompute_merge(
    shards: Sequence[RecomputedShard], heldout: Sequence[HeldoutItem], jaccard: float
) -> tuple[list[Example], list[Rejection], MergeRates]:
    """Return the examples that the merge keeps, those that it drops, and its duplicate rates."""
    examples: list[Example] = []
    dropped: list[Rejection] = []
    rates = MergeRates(len(shards))
    for decision in decisions([shard.examples for shard in shards], heldout, jaccard):
        rates.decide(decision)
        if decision.match is None:
            examples.append(decision.example)
        else:
            dropped.append(rejection_of_dropped(decision.example, decision.match))
    for number, shard in enumerate(shards):
        for rejection in shard.rejections:
            rates.reject(number, rejection)
        for generation_round in shard.rounds:
            rates.generate(number, generation_round)
    return examples, dropped, rates
