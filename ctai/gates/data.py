"""Gates 2b and 3: the pilot and the merged dataset."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ctai.config import GenerationSettings, RunConfig
from ctai.gates.evidence import Measured, write_evidence
from ctai.gates.review import Background, rejected
from ctai.gates.run import Run
from ctai.generate.merge import merge_shards
from ctai.generate.shard import make_shard, pilot_ladder
from ctai.records import HeldoutItem, Metric, PilotAttempt, PilotLadder, QcSummary, Rejection
from ctai.rundir import read_jsonl, read_record

# ------------------------------------------------------------------------------------------------------- 2b: pilot


def make_pilot(run: Run) -> Measured:
    """Make the pilot; when it misses a threshold try again with parameters changed for the reasons, twice at most."""
    config, heldout = run.config, read_jsonl(run.rundir.heldout, HeldoutItem)
    attempts: list[PilotAttempt] = []
    reused = True
    with run.phase("pilot", count=config.pilot.count) as phase:
        for number in range(config.pilot.retries + 1):
            folder = run.rundir.pilot_dir if number == 0 else run.rundir.path("artifacts", f"pilot-retry-{number}")
            summary, kept = _make_shard(run, config, folder, "pilot", 0, config.pilot.count, heldout)
            reused = reused and kept
            attempts.append(_attempt(run, config, folder, summary))
            if summary.thresholds_passed or number == config.pilot.retries:
                break
            config = pilot_ladder(config, summary.failed_reasons, number + 1)
        phase.parameters["attempts"] = [attempt.model_dump(mode="json") for attempt in attempts]
        ladder = run.rundir.evidence / "pilot_ladder.json"
        write_evidence(run.rundir, ladder, PilotLadder(attempts=tuple(attempts)))
        measured = run.judged("pilot", summary.thresholds, (*_shard_files(folder), ladder))
        lost = read_jsonl(folder / "rejections.jsonl", Rejection)
        run.background["pilot"] = Background(tuple(attempts), rejected(lost))
        return run.finish_gate(measured, reused=reused, phase=phase)


def _shard_files(folder: Path) -> list[Path]:
    """All that vouches for a shard: what was generated, kept and lost, its quality control and its manifest."""
    names = ("dataset.jsonl", "rejections.jsonl", "generation.jsonl", "qc_summary.json", "manifest.json")
    return [folder / name for name in names]


def _attempt(run: Run, config: RunConfig, folder: Path, summary: QcSummary) -> PilotAttempt:
    return PilotAttempt(
        folder=run.rundir.relative(folder),
        generation=config.generation.model_dump(mode="json"),
        passed=summary.thresholds_passed,
        reasons=summary.failed_reasons,
    )


def _make_shard(
    run: Run,
    config: RunConfig,
    folder: Path,
    stage: Literal["pilot", "scale"],
    shard: int,
    target: int,
    heldout: Sequence[HeldoutItem],
) -> tuple[QcSummary, bool]:
    """A shard's quality control, and whether the shard was already there."""
    made = make_shard(
        model=run.base,
        config=config,
        rundir=run.rundir,
        folder=folder,
        stage=stage,
        shard=shard,
        target=target,
        heldout=heldout,
        run_id=run.run_id,
        progress=run.progress,
        git=(run.environment.git_commit, run.environment.git_dirty),
    )
    return made.summary, made.reused


# ------------------------------------------------------------------------------------------------------- 3: scale


def make_scale_dataset(run: Run) -> Measured:
    """Make all shards with the parameters that the pilot passed with, and merge them."""
    config, heldout = _piloted_config(run), read_jsonl(run.rundir.heldout, HeldoutItem)
    target = math.ceil(config.scale.count * config.scale.oversample / config.scale.shards)
    with run.phase("scale", shards=config.scale.shards, count=config.scale.count) as phase:
        folders = [run.rundir.shard_dir(shard) for shard in range(config.scale.shards)]
        if missing := [folder for folder in folders if not (folder / "manifest.json").exists()]:
            run.announce("scale", target * len(missing), "lower scale.count")
        made = [_make_shard(run, config, folder, "scale", i, target, heldout) for i, folder in enumerate(folders)]
        merged = merge_shards(config, run.rundir, folders, heldout, run.run_id, run.progress)
        failed = [
            folder.name for folder, (summary, _) in zip(folders, made, strict=True) if not summary.thresholds_passed
        ]
        phase.parameters["failed_shards"] = failed
        shards = Metric(
            name="failed_shards", value=len(failed), comparison="==", threshold=0, n=len(made), note=", ".join(failed),
            artifact=run.rundir.relative(merged.qc_path),
        )  # fmt: skip
        files = [run.rundir.dataset, merged.qc_path, *(file for folder in folders for file in _shard_files(folder))]
        measured = run.judged("scale", (*merged.summary.thresholds, shards), files)
        reused = merged.reused and all(reused for _, reused in made)
        return run.finish_gate(measured, reused=reused, phase=phase)


def _piloted_config(run: Run) -> RunConfig:
    """The configuration with the generation settings of the pilot attempt that passed."""
    ladder = read_record(run.rundir.evidence / "pilot_ladder.json", PilotLadder)
    generation = GenerationSettings.model_validate(ladder.attempts[-1].generation)
    return run.config.model_copy(update={"generation": generation})
